"""The database changes its shape step by step, while programs of two versions use it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest

from mlops import moving
from mlops.record import LoggedRequest, decode, documents, encode
from mlops.services import build
from tests.running import run
from utils.errors import ConflictError, IntegrityError
from utils.mongo import connection, migrations, preparation
from utils.mongo.alerts import AlertStore
from utils.mongo.dump import Dump
from utils.mongo.history import HistoryStore
from utils.mongo.labels import LabelStore
from utils.mongo.migrations import steps
from utils.mongo.predictions import PredictionStore
from utils.mongo.reports import ReportStore
from utils.mongo.shape import FIELD, SCHEMA_VERSION
from utils.settings import load
from utils.time import now

AT = now()
OLD_INDEX = "model_1_hour_1_version_1"
# What a program two versions ahead would have stored: more fields, which nobody here knows.
AHEAD = {FIELD: SCHEMA_VERSION + 2, "mood": {"of": "the row"}}


def logged(prediction_id):
    record = LoggedRequest(
        "r", "songs", "3", AT, "compiled", 0.2, ("tempo",), [(98.5,)], [prediction_id], [1], [0.9]
    )
    return documents(record, "s", int(prediction_id))[0]


def before_the_field(document):
    return {name: value for name, value in document.items() if name != FIELD}


@pytest.fixture
def old(db):
    """A database as a program from before the field left it."""
    db["predictions"].insert_many([before_the_field(logged(str(number))) for number in range(25)])
    db["labels"].insert_one({"_id": "3", "label": 1, "at": AT, "history": []})
    db["drift_counts"].create_index([("model", 1), ("hour", 1), ("version", 1)])
    preparation.prepare(db, None)
    return db


def versions(db, name="predictions"):
    return {one.get(FIELD) for one in db[name].find()}


def test_a_database_that_nobody_used_is_in_the_newest_shape(db):
    preparation.prepare(db, None)

    assert migrations.standing(db) == migrations.Standing(SCHEMA_VERSION, SCHEMA_VERSION, 0, ())
    assert migrations.migrate(db) == []


def test_one_from_before_is_brought_forward_once(old):
    assert migrations.standing(old).database == 0

    done = [migrations.migrate(old), migrations.migrate(old)]

    assert done == [[1, 2], []]
    assert (versions(old), versions(old, "labels")) == ({1}, {1})
    assert OLD_INDEX not in old["drift_counts"].index_information()
    assert migrations.standing(old).sentence is None


def test_a_step_that_was_interrupted_goes_on_where_it_was(old, monkeypatch):
    monkeypatch.setattr(steps, "BATCH", 10)
    note = migrations._note

    def ends_after_the_first_batch_of_predictions(db, step, fields):
        note(db, step, fields)
        if fields.get("position", {}).get("collection") == "predictions":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(migrations, "_note", ends_after_the_first_batch_of_predictions)
        migrations.migrate(old)
    stamped = old["predictions"].count_documents({FIELD: 1})
    position = old["migrations"].find_one({"_id": 1})["position"]

    assert (stamped, position["collection"]) == (10, "predictions")
    assert migrations.migrate(old) == [1, 2]
    assert versions(old) == {1}


def test_many_releases_at_once_do_each_step_once(old):
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: migrations.migrate(old), range(4)))

    assert sorted(version for one in done for version in one) == [1, 2]


def test_the_program_from_before_goes_on_beside_the_new_one(old):
    store = PredictionStore(old)
    migrations.migrate(old)
    store.add_many([before_the_field(logged("90")), logged("91"), logged("92") | AHEAD])
    old["labels"].insert_many([{"_id": "90", "label": 0, "at": AT, "history": []}])
    LabelStore(old).put("91", 1, AT)
    LabelStore(old).put("90", 1, AT + timedelta(seconds=1))

    assert [len(table) for table in store.after("s", 89, 10)] == [3]
    assert {one["_id"] for one in store.last("songs", 30)} >= {"90", "91", "92"}
    assert LabelStore(old).for_predictions(["90", "91"]) == {"90": 1, "91": 1}
    assert versions(old) == {None, 1, SCHEMA_VERSION, SCHEMA_VERSION + 2}


def test_reports_alerts_and_history_of_any_version_are_read(db):
    report = {"model": "songs", "kind": "scheduled", "window_end": AT}
    for number, extra in enumerate([{}, {FIELD: 1}, AHEAD]):
        moment = AT + timedelta(hours=number)
        db["drift_reports"].insert_one(report | {"_id": f"{number}", "window_end": moment} | extra)
        entry = {"model": "songs", "seq": number + 1, "version": "1", "action": "promote"}
        db["model_history"].insert_one(entry | {"reason": "", "by": "ana", "at": moment} | extra)
        db["alerts"].insert_one({"model": "songs", "key": f"{number}", "state": "open"} | extra)

    found = [*ReportStore(db, "drift_reports").list("songs", 9), *HistoryStore(db).all("songs")]
    found += AlertStore(db).list("songs")

    assert len(found) == 9
    assert HistoryStore(db).champions()["songs"]["seq"] == 3
    assert not any(FIELD in one for one in found)


def test_a_newer_spool_record_is_read_by_this_program():
    record = LoggedRequest("r", "songs", "3", AT, "compiled", 0.2, ("tempo",), [(98.5,)], ["a"], [1])
    later = msgspec.msgpack.encode([*msgspec.msgpack.decode(encode(record)), "a field from later"])

    assert decode(later).ids == ["a"]


@pytest.fixture
def settings(mongo_uri, db, tmp_path):
    return {"MONGO_URI": mongo_uri, "MONGO_DB": db.name, "STATE_DIR": tmp_path, "TRACKERS": ""}


def test_release_does_what_is_due_and_doctor_says_so_before_and_after(old, settings):
    before = run("mlops", "doctor", **settings).stdout

    told = [run("mlops", "release", **settings).stdout for _ in range(2)]

    assert "schema    The database waits for python -m mlops release" in before
    assert "documents say which shape they have" in told[0]
    assert told[1] == "The database is ready.\n"
    assert "schema version 2, as this program" in run("mlops", "doctor", **settings).stdout


def test_a_program_that_is_too_old_for_the_database_does_nothing_and_says_so(old, settings):
    too_new = {"_id": 90, "name": "a later one", "state": "done", "oldest_program": 90}
    old["migrations"].insert_one(too_new)

    done = run("mlops", "release", **settings)

    assert (done.returncode, versions(old)) == (1, {None})
    assert "Run the newer program" in done.stderr
    with pytest.raises(ConflictError, match="schema version 90"):
        migrations.migrate(old)


@pytest.mark.parametrize(
    ("oldest_program", "is_ready", "word"), [(0, True, None), (90, False, "Run the newer program")]
)
def test_a_web_process_beside_a_newer_database_is_ready_where_it_can_work(
    db, settings, oldest_program, is_ready, word
):
    preparation.prepare(db, None)
    db["migrations"].insert_one({"_id": 90, "state": "done", "oldest_program": oldest_program})
    services = build(load({name: str(value) for name, value in settings.items()}, None))

    services.look_at_schema()
    found = services.schema_reasons()
    connection.close(services.db)

    assert (found == []) is is_ready
    assert word is None or word in found[0]


def test_an_import_of_older_documents_has_later_steps_done_again(old, mongo_uri, tmp_path):
    folder = tmp_path / "export"
    moving.export(Dump(old), folder, lambda *_: None)
    old.client.drop_database(old.name)
    preparation.prepare(old, None)

    moving.load(Dump(old), folder, lambda *_: None)

    assert migrations.migrate(old) == [1, 2]
    assert versions(old) == {1}


def test_an_import_of_a_later_program_is_refused_with_the_reason(db, tmp_path):
    folder = tmp_path / "export"
    preparation.prepare(db, None)
    moving.export(Dump(db), folder, lambda *_: None)
    manifest = folder / moving.MANIFEST
    manifest.write_text(manifest.read_text().replace('"schema_version": 2', '"schema_version": 99'))

    with pytest.raises(IntegrityError, match="Import it with the newer program"):
        moving.load(Dump(db), folder, lambda *_: None)
