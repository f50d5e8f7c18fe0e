"""Old rows go by themselves: MongoDB deletes what is older than RETENTION_DAYS, and what is held stays."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from mlops.redaction import Redaction
from mlops.sealing import Sealing
from mlops.subjects import People, Subjects
from tests.faults.members import replica_set
from tests.running import wait_until
from utils.mongo import connection, indexes
from utils.mongo.labels import LabelStore
from utils.mongo.subjects import SubjectStore
from utils.time import now

DAYS = 30


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """A database of a MongoDB that looks for old rows every second."""
    with replica_set(tmp_path_factory.mktemp("mongo"), 1, ["ttlMonitorSleepSecs=1"]) as mongo:
        found = connection.connect(mongo.uri, "retention")
        yield found
        connection.close(found)


def store(db, prediction_id, days, subject=None):
    """Store a prediction with its label and a refusal, so many days old."""
    at = now() - timedelta(days=days)
    db["predictions"].insert_one({"_id": prediction_id, "model": "m", "at": at, "subject": subject})
    LabelStore(db).put(prediction_id, 1, at)
    db["rejections"].insert_one({"model": "m", "at": at})


def ids(db, name):
    return {one["_id"] for one in db[name].find()}


def test_what_is_too_old_goes_by_itself_and_the_rest_stays(db):
    indexes.ensure(db, DAYS)
    store(db, "old", DAYS + 1)
    store(db, "new", DAYS - 1)

    wait_until(lambda: ids(db, "predictions") == ids(db, "labels") == {"new"}, 60)

    wait_until(lambda: db["rejections"].count_documents({}) == 1, 60)


def test_a_shorter_time_reaches_what_is_there_and_not_what_is_held(db):
    indexes.ensure(db, None)
    store(db, "held", 10, "ana")
    store(db, "other", 10, "eva")
    people = People(b"key", Redaction((), lambda: b""))
    registry = SimpleNamespace(models=lambda: [])
    subjects = Subjects(SubjectStore(db), registry, people, None, Sealing())
    subjects.hold("ana", "a court case", "ana")

    indexes.ensure(db, 5)
    wait_until(lambda: not {"held", "other"} & ids(db, "predictions"), 60)

    [row] = subjects.export("ana")["predictions"]
    assert (row["prediction_id"], row["label"]["label"]) == ("held", 1)
    assert subjects.export("eva")["predictions"] == []
