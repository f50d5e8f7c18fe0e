"""A champion whose stored bytes changed is noticed by the clock, without unpickling anything."""

import pytest

from mlops.alerts import Alarms
from mlops.channels import Notifier
from mlops.integrity import IntegrityCheck
from mlops.registry import Registry
from model import spec, training
from utils.mongo import indexes
from utils.mongo.alerts import AlertStore
from utils.mongo.history import HistoryStore
from utils.mongo.versions import VersionStore
from utils.time import now

SPEC = """
name: t
task: regression
target: {name: y}
data: {train: t.csv}
pipeline: tests.small_pipelines:linear
features: {a: {type: number}}
"""


@pytest.fixture
def registry(db):
    indexes.ensure(db, None)
    registry = Registry(VersionStore(db), HistoryStore(db), b"a key of more than sixteen characters")
    trained = training.train(spec.loads(SPEC), [{"a": float(i), "y": i % 7 + 2.0 * i} for i in range(120)])
    registry.promote("t", registry.add(trained, learnt_from=["b", "a"]), reason="", by="me")
    return registry


@pytest.fixture
def check(db, registry):
    return IntegrityCheck(registry, Alarms(AlertStore(db), Notifier([])))


def test_a_whole_champion_is_no_alarm_and_a_model_without_one_neither(db, check):
    assert check.check("t", now())
    assert check.check("nobody", now())
    assert AlertStore(db).list() == []


@pytest.mark.parametrize("part", ["pipeline.joblib", "expectation.json", "lineage.json", "reference.bin"])
def test_one_changed_byte_of_any_part_is_an_alarm(db, check, part):
    file = db["fs.files"].find_one({"filename": f"t/1/{part}"})
    chunk = db["fs.chunks"].find_one({"files_id": file["_id"]})
    broken = chunk["data"][:-1] + bytes([chunk["data"][-1] ^ 1])
    db["fs.chunks"].update_one({"_id": chunk["_id"]}, {"$set": {"data": broken}})

    assert not check.check("t", now())

    (alert,) = AlertStore(db).list("t")
    assert (alert["key"], alert["state"]) == ("integrity", "open")
    assert part in alert["sentence"]


def test_a_version_knows_which_predictions_it_learnt_from(registry):
    assert registry.learnt_from("t", "1") == ["a", "b"]
