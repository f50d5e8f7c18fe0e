"""Versions on a real MongoDB: stored signed, read verified, promoted and rolled back."""

import subprocess
import sys

import numpy as np
import pytest

from mlops.registry import Registry
from model import spec, training, versions
from model.artifact import OtherPackagesError
from utils.errors import ConflictError, IntegrityError, InvalidRowsError, NotFoundError
from utils.mongo import indexes
from utils.mongo.history import HistoryStore
from utils.mongo.versions import VersionStore

KEY = b"a key of more than sixteen characters"
TEXT = """
name: t
task: classification
target: {name: y, classes: {0: low, 1: high}}
data: {train: t.csv}
pipeline: tests.small_pipelines:logistic
features:
  a: {type: number}
  kind: {type: category, missing: true}
"""
NUMBERS, TEXTS = np.array([[0.5], [2.0]]), np.array([["x"], ["y"]], dtype=object)


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    rows = [{"a": float(a), "kind": "xy"[int(a > 0.4)], "y": int(a > 0)} for a in rng.normal(size=150)]
    return training.train(spec.loads(TEXT), rows)


@pytest.fixture
def registry(db):
    indexes.ensure(db, None)
    return Registry(VersionStore(db), HistoryStore(db), KEY)


def test_a_loaded_version_answers_as_the_trained_pipeline(registry, trained):
    version = registry.add(trained, source="t.csv")
    loaded = registry.load("t", version)

    assert (loaded.model, loaded.version, loaded.spec) == ("t", "1", trained.spec)
    assert loaded.predictor.served_by == "compiled"
    assert loaded.predictor.scores(trained.golden.numbers, trained.golden.texts) == pytest.approx(
        trained.golden.expected, abs=1e-6
    )


def test_versions_are_numbered_and_listed_newest_first(registry, trained):
    for _ in range(2):
        registry.add(trained)
    registry.promote("t", "1", reason="first", by="me")

    assert [(v["version"], v["is_champion"]) for v in registry.versions("t")] == [("2", False), ("1", True)]
    assert registry.versions("t")[0]["metrics"] == trained.metrics


@pytest.mark.parametrize("part", ["pipeline.joblib", "pipeline.onnx", "golden.json"])
def test_a_part_with_one_changed_byte_is_refused_before_it_is_read(db, registry, trained, part):
    version = registry.add(trained)
    file = db["fs.files"].find_one({"filename": f"t/{version}/{part}"})
    chunk = db["fs.chunks"].find_one({"files_id": file["_id"]})
    broken = bytes([chunk["data"][0] ^ 1]) + chunk["data"][1:]
    db["fs.chunks"].update_one({"_id": chunk["_id"]}, {"$set": {"data": broken}})

    with pytest.raises(IntegrityError, match=f"{part} of version 1 of t is not what was signed"):
        registry.load("t", version)


def test_a_changed_manifest_is_refused_and_shown_as_a_problem(db, registry, trained):
    registry.add(trained)
    db["model_versions"].update_one({}, {"$set": {"manifest.threshold": 0.01}})

    with pytest.raises(IntegrityError, match="signed"):
        registry.load("t", "1")
    assert "signed" in registry.versions("t")[0]["problem"]


def test_a_version_under_another_name_is_refused(db, registry, trained):
    registry.add(trained)
    db["model_versions"].update_one({}, {"$set": {"version": "7"}})

    with pytest.raises(IntegrityError, match="Under t 7, t 1 is stored"):
        registry.load("t", "7")


def test_a_version_of_another_installation_is_refused(db, registry, trained):
    registry.add(trained)
    stranger = Registry(VersionStore(db), HistoryStore(db), b"the key of somebody else")

    with pytest.raises(IntegrityError, match="SIGNING_KEY"):
        stranger.promote("t", "1", reason="", by="me")


def test_promotion_and_rollback_are_told_by_the_history(registry, trained):
    for _ in range(3):
        version = registry.add(trained)
        registry.promote("t", version, reason="better", by="me")

    steps = [registry.rollback("t", reason="worse", by="me")["version"] for _ in range(2)]

    assert steps == ["2", "1"]
    assert registry.champion("t") == "1"
    with pytest.raises(ConflictError, match="no earlier champion"):
        registry.rollback("t", reason="", by="me")


def test_a_rollback_goes_to_the_version_that_is_named(registry, trained):
    for _ in range(3):
        registry.promote("t", registry.add(trained), reason="better", by="me")

    assert registry.rollback("t", "1", reason="worse", by="me")["action"] == "rollback"
    assert registry.champion("t") == "1"


def test_only_a_former_champion_can_be_rolled_back_to(registry, trained):
    registry.promote("t", registry.add(trained), reason="", by="me")
    registry.add(trained)

    with pytest.raises(NotFoundError, match="never champion"):
        registry.rollback("t", "2", reason="", by="me")


def test_nobody_rolls_back_to_the_present_champion(registry, trained):
    for _ in range(2):
        registry.promote("t", registry.add(trained), reason="", by="me")

    with pytest.raises(ConflictError, match="champion already"):
        registry.rollback("t", "2", reason="", by="me")

    assert registry.champion("t") == "2"


def test_a_version_that_was_rolled_back_may_come_again(registry, trained):
    for _ in range(2):
        registry.promote("t", registry.add(trained), reason="", by="me")
    registry.rollback("t", reason="worse", by="me")

    assert registry.rollback("t", "2", reason="it was not that", by="me")["version"] == "2"


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[2J", "a\x00b"])
def test_a_reason_has_no_control_characters(registry, trained, reason):
    registry.promote("t", registry.add(trained), reason="", by="me")

    for move in (registry.promote, registry.rollback):
        with pytest.raises(InvalidRowsError, match="one line"):
            move("t", "1", reason=reason, by="me")


def test_promoting_the_champion_changes_nothing(registry, trained):
    version = registry.add(trained)
    entries = [registry.promote("t", version, reason="", by="me") for _ in range(2)]

    assert entries[0]["seq"] == entries[1]["seq"] == 1


def test_a_version_that_is_not_there_is_not_found(registry):
    with pytest.raises(NotFoundError):
        registry.promote("t", "1", reason="", by="me")
    with pytest.raises(ConflictError):
        registry.rollback("t", reason="", by="me")


def test_a_graph_that_answers_otherwise_gives_way_to_the_pipeline(registry, trained, monkeypatch):
    version = registry.add(trained)
    real = versions.replay
    monkeypatch.setattr(
        versions,
        "replay",
        lambda predictor, golden: real(
            predictor, golden, -1.0 if predictor.served_by == "compiled" else 1e-6
        ),
    )

    assert registry.load("t", version).predictor.served_by == "sklearn"


def test_a_pipeline_that_answers_otherwise_is_not_ready_and_says_what_to_install(
    registry, trained, monkeypatch
):
    version = registry.add(trained)
    real = versions.replay
    monkeypatch.setattr(versions, "replay", lambda predictor, golden: real(predictor, golden, -1.0))
    monkeypatch.setattr(
        "model.artifact.installed_packages",
        lambda: registry.manifest("t", version).packages | {"scikit-learn": "1.0"},
    )

    with pytest.raises(OtherPackagesError, match=r"pip install scikit-learn==1\.\d"):
        registry.load("t", version)


def test_another_scikit_learn_is_told_aloud(registry, trained, monkeypatch, caplog):
    version = registry.add(trained)
    monkeypatch.setattr("model.artifact.installed_packages", lambda: {"scikit-learn": "1.0"})
    registry.load("t", version)

    assert "another than here; its golden rows decide" in caplog.text


LIGHT = """
import sys
from mlops.registry import Registry
from utils.mongo import connection
from utils.mongo.history import HistoryStore
from utils.mongo.versions import VersionStore
db = connection.connect(sys.argv[1], sys.argv[2])
loaded = Registry(VersionStore(db), HistoryStore(db), sys.argv[3].encode()).load("t", "1")
assert loaded.predictor.served_by == "compiled"
heavy = {"sklearn", "pandas", "scipy", "joblib", "neptune", "mlflow"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_a_compiled_version_is_loaded_without_scikit_learn(db, mongo_uri, registry, trained):
    registry.add(trained)
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, mongo_uri, db.name, KEY.decode()], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
