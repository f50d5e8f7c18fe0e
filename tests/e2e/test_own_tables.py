"""Tables that no spec knows: from ``init`` to drift reports without a hand-made change.

scikit-learn's own tables always, public ones where they are at hand. One service answers for all of them.
"""

import json
import os
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn import datasets

from model.__main__ import main
from tests.running import Service, wait_until
from utils.mongo import connection

PUBLIC = Path(os.environ.get("VIGIA_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
MAX_ROWS, N_REQUESTS = 3_000, 200
OWN = ("iris", "wine", "breast_cancer", "diabetes", "digits")
FILES = {
    "adult": ("control_adult/adult.csv.gz", "label"),
    "bikes": ("drift_bikes/hour.csv", "cnt"),
    "elec2": ("drift_elec2/elec2.csv.gz", "class"),
    "california": ("drift_california/california_housing.csv.gz", "clf_target"),
    "tmdb": ("movies_tmdb/tmdb_5000_movies.csv.gz", "revenue"),
    "acer": ("trees_acer/Tree_Data_Acer.csv", "Event"),
    "cardekho": ("cars/car_details_cardekho.csv", "selling_price"),
}
# Metric and what the default pipeline reaches at least, on held-out rows.
LEAST = {
    "iris": ("accuracy", 0.85),
    "wine": ("accuracy", 0.85),
    "breast_cancer": ("roc_auc", 0.95),
    "diabetes": ("r2", 0.3),
    "digits": ("accuracy", 0.9),
    "adult": ("roc_auc", 0.87),
    "bikes": ("r2_log", 0.8),
    "elec2": ("roc_auc", 0.85),
    "california": ("roc_auc", 0.9),
    "tmdb": ("r2", 0.5),
    "acer": ("roc_auc", 0.9),
    "cardekho": ("r2_log", 0.7),
    "odd": ("accuracy", 0.8),
}
COMMAS = str.maketrans(",.", ".,")
NAMES = (*OWN, *FILES, "odd")


def odd_table():
    """A small table of everything that breaks others."""
    rng = np.random.default_rng(2)
    n = 400
    size = rng.lognormal(3, 1, n)
    return pd.DataFrame(
        {
            "Unnamed: 0": range(n),
            "prix d'achat ($)": np.where(rng.random(n) < 0.1, np.nan, size).round(2),
            "a.b": pd.array(np.where(rng.random(n) < 0.2, None, rng.integers(0, 9, n)), dtype="Int64"),
            "$where": rng.choice(["x", "y", "rare é"], n, p=[0.6, 0.39, 0.01]),
            'say "so"': rng.choice([True, False], n),
            "née: le #1": pd.date_range("2020-01-01", periods=n).strftime("%d.%m.%Y"),
            "mixed": rng.choice(["1", "2.5", "three", "four", "n/a"], n),
            "street": [f"street {i}" for i in rng.integers(0, 250, n)],
            "constant": "same",
            "all missing": None,
            "range/km": [f"{value:.1f} km" for value in rng.uniform(1, 900, n)],
            "cost": [f"${value:,.2f}" for value in size * 100],
            "Anteil": [f"{value}%" for value in rng.integers(0, 90, n)],
            "prix": [f"{value:,.2f} €".translate(COMMAS) for value in rng.uniform(1, 9e4, n)],
            "klass": np.select([size > 60, size > 15], ["grünlich", "b.c"], "$a"),
        }
    )


def source(name):
    """Rows of a table and its target; skips a public table that is not at hand."""
    if name == "odd":
        return odd_table(), "klass"
    if name in OWN:
        return getattr(datasets, f"load_{name}")(as_frame=True).frame, "target"
    path, target = FILES[name]
    if not PUBLIC.is_dir():
        pytest.skip(f"no public tables (looked in {PUBLIC}; set VIGIA_PUBLIC_DATA)")
    table = pd.read_csv(PUBLIC / path, low_memory=False)
    return table.sample(min(len(table), MAX_ROWS), random_state=1).sort_index(), target


@pytest.fixture(scope="module")
def place(mongo_uri, tmp_path_factory):
    """Settings and a folder of specs for all tables of this module."""
    folder = tmp_path_factory.mktemp("specs")
    settings = {
        "MONGO_URI": mongo_uri,
        "MONGO_DB": f"own_{uuid.uuid4().hex[:12]}",
        "SIGNING_KEY": "the key of these tests",
        "STATE_DIR": str(folder / "state"),
        "LOG_LEVEL": "ERROR",
    }
    yield folder, settings
    db = connection.connect(mongo_uri, settings["MONGO_DB"])
    db.client.drop_database(db.name)
    connection.close(db)


@pytest.fixture(scope="module")
def trained(place):
    """What ``init`` and ``train`` told of each table that is at hand."""
    folder, settings = place
    return {
        name: _trained(name, folder, settings) for name in NAMES if name in (*OWN, "odd") or PUBLIC.is_dir()
    }


def _trained(name, folder, settings):
    table, target = source(name)
    table.to_csv(folder / f"{name}.csv", index=False)
    drafted = _command(settings, "init", folder / f"{name}.csv", "--target", target, "--out", folder)
    return drafted, _command(settings, "train", name, "--promote")


def _command(settings, *arguments):
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"], env=settings)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def service(place, trained, tmp_path_factory):
    folder, settings = place
    settings = {name: value for name, value in settings.items() if name not in ("STATE_DIR", "LOG_LEVEL")}
    with Service(
        tmp_path_factory.mktemp("own"), MODELS_DIR=folder, DEFAULT_MODEL="iris", **settings
    ) as found:
        yield found.wait_until_ready(120)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_that_no_spec_knows_is_trained_served_logged_and_watched(name, trained, service):
    if name not in trained:
        pytest.skip(f"no public tables (looked in {PUBLIC}; set VIGIA_PUBLIC_DATA)")
    metric, least = LEAST[name]
    table, target = source(name)
    rows = json.loads(
        table.drop(columns=target).head(N_REQUESTS).to_json(orient="records", double_precision=15)
    )

    status, body = service.post(f"/models/{name}/predict", rows)

    assert status == 200, body
    assert trained[name][1]["metrics"][metric] >= least
    assert len(body["predictions"]) == len(rows)
    assert sum(bool(answer["warnings"]) for answer in body["predictions"]) <= 0.02 * len(rows), body[
        "predictions"
    ]
    _, described = service.get(f"/models/{name}")
    assert described["served_by"] == "compiled"
    last = body["predictions"][-1]["prediction_id"]
    wait_until(lambda: service.get(f"/predictions/{last}")[0] == 200)
    _, logged = service.get(f"/predictions/{last}")
    assert set(logged["features"]) == set(trained[name][0]["features"])
    status, report = service.post(f"/models/{name}/monitor", b"")
    assert (status, report["n_rows"]) == (200, len(rows))
    assert service.get(f"/dashboard/{name}")[0] == 200


def test_labels_of_all_kinds_of_classes_are_taken(trained, service):
    rows = json.loads(odd_table().drop(columns="klass").head(3).to_json(orient="records"))
    _, body = service.post("/models/odd/predict", rows)
    ids = [answer["prediction_id"] for answer in body["predictions"]]

    status, _ = service.post(
        "/labels",
        [
            {"prediction_id": one, "label": label}
            for one, label in zip(ids, ["$a", "b.c", "grünlich"], strict=True)
        ],
    )

    assert status in (200, 202)


def test_leaks_and_keys_of_public_tables_are_found(trained):
    if "bikes" not in trained:
        pytest.skip("no public tables")
    left_out = {name: set(told[0]["left_out"]) for name, told in trained.items()}

    assert {"casual", "registered", "instant"} <= left_out["bikes"]
    assert {"id", "y_pred", "y_pred_proba"} <= left_out["california"]
    assert "id" in left_out["tmdb"] and "No" in left_out["acer"] and "row" in left_out["elec2"]
