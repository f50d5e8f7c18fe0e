"""The default pipeline: any table trains, compiles and answers."""

import numpy as np
import pytest

from model import spec
from model.predictor import CompiledPredictor
from model.preprocessing import default_pipeline
from model.training import train

COLUMNS = {
    "prix d'achat ($)": "number",
    "n.rooms": "integer",
    "is new?": "boolean",
    "née le": "date",
    "Größe": "category",
    "street": "category",
    "empty": "number",
    "constant": "number",
}


def given(task="classification", names=COLUMNS):
    features = {name: spec.Feature(type=kind, missing=True) for name, kind in names.items()}
    target, data = spec.Target(name="y"), spec.Data(train="t.csv")
    return spec.Spec(name="t", task=task, target=target, data=data, features=features)


def rows(n_rows=160):
    rng = np.random.default_rng(4)
    draws = rng.normal(size=(n_rows, 2))
    return [
        {
            "prix d'achat ($)": float(np.exp(a)) if i % 7 else None,
            "n.rooms": int(abs(b) * 3),
            "is new?": bool(a > 0) if i % 5 else None,
            "née le": f"20{i % 20:02}-0{i % 9 + 1}-11" if i % 6 else None,
            "Größe": "SML"[i % 3] if i % 4 else None,
            "street": f"street {i % 90}",
            "constant": 7.0,
            "y": float(np.exp(2 * a)),
        }
        for i, (a, b) in enumerate(draws)
    ]


def classes(*names):
    table = rows()
    cuts = np.quantile([row["y"] for row in table], np.linspace(0, 1, len(names) + 1)[1:-1])
    return [row | {"y": names[int(np.searchsorted(cuts, row["y"]))]} for row in table]


@pytest.mark.parametrize("names", [("no", "yes"), ("cheap", "fair", "dear")])
def test_a_table_of_everything_is_learnt_and_compiled(names):
    trained = train(given(), classes(*names))

    assert trained.metrics["accuracy"] > 0.6
    assert trained.not_compiled == ""


def test_a_target_of_many_sizes_is_learnt_by_its_logarithm():
    trained = train(given("regression"), rows())

    assert trained.metrics["r2_log"] > 0.5
    assert trained.not_compiled == ""


def test_a_row_of_gaps_and_one_of_news_are_answered():
    trained = train(given(), classes("no", "yes"))
    numbers = np.array([[np.nan] * 6, [1e9, -5, 1, 3e4, 0, 8]])
    scores = CompiledPredictor(trained.compiled).scores(
        numbers, np.array([["", ""], ["XXL", "elsewhere"]], object)
    )

    assert np.isfinite(scores).all()
    assert scores.sum(axis=1) == pytest.approx([1, 1])


@pytest.mark.parametrize("only", ["n.rooms", "Größe", "née le"])
def test_one_column_is_enough(only):
    ours = given(names={only: COLUMNS[only]})

    assert train(ours, classes("no", "yes")).not_compiled == ""


@pytest.mark.parametrize(
    ("n_rows", "members"),
    [(999, {"boosting", "trees", "linear"}), (4_999, {"boosting", "trees"}), (5_000, None)],
)
def test_who_votes_depends_on_the_number_of_rows(n_rows, members):
    model = default_pipeline(given(), n_rows)["model"]

    assert (set(dict(model.estimators)) if members else getattr(model, "estimators", None)) == members
