"""``python -m model`` on a real MongoDB."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from model.__main__ import main

SPEC = """
name: {name}
task: classification
target: {{name: y}}
data: {{train: rows.csv}}
pipeline: tests.small_pipelines:logistic
features:
  a: {{type: number}}
  kind: {{type: category, missing: true}}
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "two.yaml").write_text(SPEC.format(name="two"))
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{a},{'xy'[int(a > 0.4)]},{'yes' if a > 0 else 'no'}" for a in rng.normal(size=120))
    (folder / "rows.csv").write_text(f"a,kind,y\n{rows}\n")
    return folder


@pytest.fixture
def run(folder, mongo_uri, db, tmp_path):
    env = {
        "MONGO_URI": mongo_uri,
        "MONGO_DB": db.name,
        "STATE_DIR": str(tmp_path / "state"),
        "LOG_LEVEL": "ERROR",
    }

    def call(*arguments, code=0):
        result = CliRunner().invoke(main, ["--models", str(folder), *arguments], env=env)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in arguments and code == 0 else result.output

    return call


def test_a_trained_version_is_a_challenger_and_with_promote_the_champion(run):
    first = run("train", "two", "--json")
    second = run("train", "two", "--promote", "--json")

    assert (first["version"], first["is_champion"]) == ("1", False)
    assert (second["version"], second["is_champion"]) == ("2", True)
    assert [(v["version"], v["is_champion"]) for v in run("versions", "two", "--json")] == [
        ("2", True),
        ("1", False),
    ]


def test_a_version_tells_what_it_was_trained_on(run, folder):
    trained_on = run("train", "two", "--json")["trained_on"]

    assert (trained_on["source"], trained_on["n_rows"]) == ("rows.csv", 120)
    assert len(trained_on["digest"]) == 64


def test_another_file_of_the_same_columns_may_be_trained_on(run, folder):
    (folder / "more.csv").write_text((folder / "rows.csv").read_text() + "0.5,x,yes\n")

    assert run("train", "two", "--data", str(folder / "more.csv"), "--json")["trained_on"]["n_rows"] == 121


def test_the_champion_is_evaluated_on_a_labelled_file(run, folder):
    run("train", "two", "--promote")
    (folder / "new.csv").write_text("y,a,kind\nyes,2,y\nno,-2,x\n,1,x\nyes,,\n")
    found = run("evaluate", "two", "--data", str(folder / "new.csv"), "--json")

    assert (found["model"], found["version"], found["rows"]) == ("two", "1", 3)  # one row has no label
    assert set(found["metrics"]) == {
        "accuracy",
        "precision",
        "recall",
        "f1",
        "roc_auc",
        "average_precision",
        "brier",
    }


def test_a_version_that_was_tampered_with_is_listed_with_its_problem(run, db):
    run("train", "two")
    db["model_versions"].update_one({}, {"$set": {"manifest.threshold": 0.9}})

    assert "signed" in run("versions", "two", "--json")[0]["problem"]
    assert "signed" in run("versions", "two")


def test_people_get_a_table(run):
    assert "roc_auc" in run("train", "two", "--promote")
    assert "champion" in run("versions")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "none"], "No model is called 'none'"),
        (["train", "two", "--data", "gone.csv"], r"gone.csv: no such file"),
        (["evaluate", "two", "--data", "gone.csv"], "two has no champion yet"),
    ],
)
def test_an_error_is_one_line_and_code_1(run, arguments, message):
    output = run(*arguments, code=1)

    assert message in output
    assert "Traceback" not in output


def test_models_without_a_champion_are_trained_once(run, folder, monkeypatch):
    monkeypatch.setattr("model.spec.BUNDLED", folder)

    assert run("train-missing", "--json") == [{"model": "two", "version": "1", "problem": ""}]
    assert run("train-missing", "--json") == []


def test_a_model_that_cannot_be_trained_does_not_stop_the_others(run, folder, monkeypatch):
    monkeypatch.setattr("model.spec.BUNDLED", folder)
    (folder / "broken.yaml").write_text(SPEC.format(name="broken").replace("rows.csv", "gone.csv"))
    output = run("train-missing", code=1)

    assert "two: version 1 is champion" in output
    assert "broken: " in output
    assert "gone.csv: no such file" in output


def test_without_mongo_uri_a_private_mongodb_is_used_for_the_command(folder, tmp_path):
    env = {"MONGO_URI": "", "STATE_DIR": str(tmp_path / "state"), "LOG_LEVEL": "ERROR"}
    runner = CliRunner()
    trained = runner.invoke(main, ["--models", str(folder), "train", "two", "--promote"], env=env)
    listed = runner.invoke(main, ["versions", "two", "--json"], env=env)

    assert trained.exit_code == 0, trained.output
    assert json.loads(listed.stdout)[0]["is_champion"]
    assert not (tmp_path / "state" / "mongo-uri").exists()
