"""``python -m model init`` and ``import``, with training and versions on a real MongoDB."""

import json
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from model import spec
from model.__main__ import main
from model.artifact import REFERENCE
from model.monitoring import ModelReference
from model.versions import Versions
from utils.mongo.versions import VersionStore

KEY = "a key for these tests"
RNG = np.random.default_rng(3)


@pytest.fixture
def table():
    a, b = RNG.normal(size=(2, 150)).round(3)
    return pd.DataFrame(
        {"a": a, "b": b, "kind": np.where(a > 0.3, "x", "y"), "y": np.where(a + b > 0, "yes", "no")}
    )


@pytest.fixture
def file(table, tmp_path):
    table.to_csv(tmp_path / "my table.csv", index=False)
    return tmp_path / "my table.csv"


@pytest.fixture
def run(mongo_uri, db, tmp_path):
    env = {
        "MONGO_URI": mongo_uri,
        "MONGO_DB": db.name,
        "STATE_DIR": str(tmp_path / "state"),
        "SIGNING_KEY": KEY,
        "LOG_LEVEL": "ERROR",
    }

    def call(*arguments, code=0, **more):
        result = CliRunner().invoke(main, list(map(str, arguments)), env=env | more)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in arguments and code == 0 else result.output

    return call


def test_a_table_becomes_a_spec_that_trains_by_its_name(run, file, tmp_path):
    found = run("init", file, "--target", "y", "--json")
    trained = run("train", "my_table", "--promote", "--json")

    assert (found["name"], found["task"], found["features"]) == (
        "my_table",
        "classification",
        ["a", "b", "kind"],
    )
    assert found["spec"] == str(tmp_path / "state" / "models" / "my_table.yaml")
    assert trained["metrics"]["roc_auc"] > 0.9


def test_people_are_told_what_is_doubtful_and_what_comes_next(run, file):
    told = run("init", file, "--target", "a")

    assert "regression of a by 3 columns, 150 rows" in told
    assert "python -m model train my_table --promote" in told


def test_a_spec_in_another_folder_is_found_by_its_name_too(run, file, tmp_path):
    run("init", file, "--target", "y", "--out", tmp_path / "specs", "--name", "other")

    assert run("train", "other", "--json")["version"] == "1"
    assert run("train", "other", "--models", tmp_path / "specs", "--json", STATE_DIR=str(tmp_path / "x"))
    assert spec.load(tmp_path / "specs" / "other.yaml").data.train == "../my table.csv"


def test_the_name_of_a_bundled_model_is_not_taken(run, table, tmp_path):
    table.to_csv(tmp_path / "songs.csv", index=False)

    assert run("init", tmp_path / "songs.csv", "--target", "y", "--json")["name"] == "songs-2"


def test_a_spec_is_written_over_only_by_force(run, file):
    run("init", file, "--target", "y")

    assert "is there already" in run("init", file, "--target", "y", code=1)
    assert run("init", file, "--target", "kind", "--force", "--json")["task"] == "classification"


def test_what_cannot_be_drafted_says_why_in_one_line(run, file):
    output = run("init", file, "--target", "z", code=1)

    assert "no column 'z'. It has: a, b, kind, y" in output
    assert "Traceback" not in output


def pipeline(table):
    prepare = make_column_transformer(
        (SimpleImputer(), ["a", "b"]), (OneHotEncoder(handle_unknown="ignore"), ["kind"])
    )
    return make_pipeline(prepare, LogisticRegression()).fit(table[["a", "b", "kind"]], table["y"])


@pytest.mark.parametrize("dump", [joblib.dump, lambda found, path: path.write_bytes(pickle.dumps(found))])
def test_a_fitted_pipeline_is_taken_over_with_a_warning(run, table, file, tmp_path, db, dump):
    fitted = pipeline(table)
    dump(fitted, tmp_path / "theirs.joblib")
    told = run("import", tmp_path / "theirs.joblib", "--data", file, "--promote")
    versions = Versions(VersionStore(db), KEY.encode())
    loaded = versions.load("theirs", "1")
    row = np.array([[0.5, -0.2]]), np.array([["x"]], dtype=object)

    assert "WARNING" in told and "unpickled" in told
    assert (loaded.predictor.served_by, loaded.spec.labels) == ("compiled", ("no", "yes"))
    expected = fitted.predict_proba(pd.DataFrame({"a": [0.5], "b": [-0.2], "kind": ["x"]}))
    assert loaded.predictor.scores(*row) == pytest.approx(expected, abs=1e-9)
    assert (loaded.conformal.kind, loaded.conformal.level) == ("set", 0.9)
    assert loaded.detector.warnings(np.array([[90.0, -90.0]]), row[1])[0].code == "out_of_distribution"
    assert "too good if the pipeline was fitted on these rows" in told
    assert ModelReference.from_bytes(versions.part("theirs", "1", REFERENCE)).counts.n_rows == 150


def test_a_pipeline_of_arrays_and_a_sample_without_labels_are_taken_over(run, table, tmp_path, db):
    numbers = table[["a", "b"]]
    joblib.dump(Ridge().fit(numbers.to_numpy(), table["a"] * 2), tmp_path / "bare.joblib")
    numbers.to_csv(tmp_path / "sample.csv", index=False)
    told = run("import", tmp_path / "bare.joblib", "--data", tmp_path / "sample.csv", "--json")

    loaded = Versions(VersionStore(db), KEY.encode()).load("bare", "1")
    assert told["metrics"] == {}
    assert (loaded.conformal, loaded.spec.intervals) == (None, None)
    assert "no intervals" in {doubt["code"]: doubt["detail"] for doubt in told["doubts"]}["metrics"]
    assert "nothing was measured" in (tmp_path / "state" / "models" / "bare.yaml").read_text()
    assert loaded.predictor.scores(np.array([[1.0, 2.0]]), None)[0] == pytest.approx(2, abs=0.1)


def test_an_imported_regression_has_intervals_that_hold_the_truth(run, table, tmp_path, db):
    rows = table.assign(y=table["a"] + RNG.normal(size=len(table)))[["a", "b", "y"]]
    joblib.dump(Ridge().fit(rows[["a", "b"]], rows["y"]), tmp_path / "line.joblib")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    run("import", tmp_path / "line.joblib", "--data", tmp_path / "rows.csv", "--target", "y")

    loaded = Versions(VersionStore(db), KEY.encode()).load("line", "1")
    low, high = loaded.conformal.intervals(loaded.predictor.scores(rows[["a", "b"]].to_numpy(), None))

    assert 0.8 <= ((low <= rows["y"]) & (rows["y"] <= high)).mean() <= 1.0


def test_missing_values_are_allowed_where_the_pipeline_takes_them(run, table, file, tmp_path):
    joblib.dump(pipeline(table), tmp_path / "theirs.joblib")
    run("import", tmp_path / "theirs.joblib", "--data", file)
    features = spec.load(tmp_path / "state" / "models" / "theirs.yaml").features

    assert {name: feature.missing for name, feature in features.items()} == {
        "a": True,
        "b": True,
        "kind": True,
    }


def sign_of(frame):
    return (frame["a"].astype(str).str.len() + frame["b"]).to_frame()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no pickle", "cannot be unpickled"),
        (pickle.dumps({"a": 1}), "holds a dict, nothing that predicts"),
        (pickle.dumps(Ridge()), "is not fitted"),
    ],
)
def test_a_file_without_a_fitted_pipeline_is_refused(run, file, tmp_path, content, message):
    (tmp_path / "bad.joblib").write_bytes(content)

    assert message in run("import", tmp_path / "bad.joblib", "--data", file, code=1)


def test_a_pipeline_that_answers_otherwise_in_production_is_refused(run, table, tmp_path):
    whole = table.assign(a=(table["a"] * 10).astype(int))
    fitted = make_pipeline(FunctionTransformer(sign_of), Ridge()).fit(whole[["a", "b"]], whole["b"])
    joblib.dump(fitted, tmp_path / "odd.joblib")
    whole[["a", "b"]].to_csv(tmp_path / "whole.csv", index=False)

    output = run("import", tmp_path / "odd.joblib", "--data", tmp_path / "whole.csv", code=1)

    assert "rows otherwise when numbers come as float64" in output
