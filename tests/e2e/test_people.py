"""One person's rows: shown, held, erased everywhere, and kept out of the log in the first place."""

import json
import uuid
from pathlib import Path

import bson
import gridfs
import pytest

from mlops.redaction import Redaction
from tests.e2e.small_model import SPEC, rows, small_model
from tests.running import Service, run, wait_until
from utils.errors import SettingsError

SPEC_END = "id: ticket\nsubject: person\n"


@pytest.fixture(scope="module")
def small(mongo_uri, tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    with small_model(mongo_uri, folder, SPEC + SPEC_END) as found:
        yield found


@pytest.fixture(scope="module")
def service(small, tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    with Service(state, **small, REDACT_FIELDS="ticket:mask") as found:
        found.state = state
        yield found.wait_until_ready()


@pytest.fixture
def person():
    return f"marker-{uuid.uuid4().hex}"


def ask(service, person, n_rows=3):
    """Have predictions made about a person; returns their ids."""
    body = [{"a": 0.1, "b": i, "person": person, "ticket": f"T-{person}"} for i in range(n_rows)]
    status, answer = service.post("/predict", body)
    assert status == 200
    return [one["prediction_id"] for one in answer["predictions"]]


def stored(small_db, person):
    return small_db["predictions"].count_documents({"subject": person})


def everything(small_db):
    """Return all that MongoDB holds, GridFS included, as bytes."""
    found = [bson.encode(one) for name in small_db.list_collection_names() for one in small_db[name].find()]
    bucket = gridfs.GridFS(small_db)
    return b"".join([*found, *(bucket.get(file["_id"]).read() for file in small_db["fs.files"].find())])


def delete(service, path):
    answer = service.http.request("DELETE", service.url + path)
    return answer.status, json.loads(answer.data)


def test_a_person_sees_all_that_is_logged_of_them(service, small_db, person):
    ids = ask(service, person)
    service.post("/labels", [{"prediction_id": ids[0], "label": "high"}])
    wait_until(lambda: stored(small_db, person) == 3)

    status, found = service.get(f"/subjects/{person}")

    assert (status, found["subject"]) == (200, person)
    assert [one["prediction_id"] for one in found["predictions"]] == ids
    assert [bool(one["label"]) for one in found["predictions"]] == [True, False, False]


def test_an_erased_person_is_found_nowhere(service, small_db, person):
    ids = ask(service, person)
    service.post("/labels", [{"prediction_id": ids[0], "label": "high"}])
    wait_until(lambda: stored(small_db, person) == 3)
    aside = service.state / "spool" / "refused"
    aside.mkdir(exist_ok=True)
    (aside / "x-1.json").write_text(json.dumps({"error": "e", "document": {"subject": person}}))
    (aside / "x-2.payload").write_bytes(b"\x00\xff" + person.encode() + b"\xff")
    (service.state / "spool" / "x.1.sqlite.corrupt").write_bytes(b"page" + person.encode()[:25])

    status, found = delete(service, f"/subjects/{person}")

    assert (status, found["n_predictions"], found["n_labels"], found["n_files"]) == (200, 3, 1, 3)
    wait_until(lambda: not on_disk(service.state, person))
    assert person.encode() not in everything(small_db)
    assert small_db["labels"].find_one({"_id": ids[0]}) is None


def on_disk(folder, person):
    """Return the files of a state folder, logs included, that name a person."""
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return [path for path in files if person.encode() in path.read_bytes()]


def test_rows_that_waited_in_a_spool_do_not_come_back(small, small_db, person, tmp_path):
    from mlops.redaction import Redaction
    from mlops.subjects import MindfulStore, People
    from utils.mongo.predictions import PredictionStore
    from utils.mongo.subjects import SubjectStore
    from utils.time import now

    people = People(b"key", Redaction((), lambda: b""))
    store = MindfulStore(PredictionStore(small_db), SubjectStore(small_db), people)
    late = {"_id": f"late {person}", "subject": person, "model": "small", "at": now()}
    SubjectStore(small_db).mark_erased(people.digest(person), now(), "test")
    new = {**late, "_id": f"new {person}", "at": now().replace(year=now().year + 1)}

    store.add_many([late, new])

    assert [row["_id"] for row in small_db["predictions"].find({"subject": person})] == [f"new {person}"]


def test_what_is_held_stays_and_says_why(service, small_db, person):
    ask(service, person)
    wait_until(lambda: stored(small_db, person) == 3)
    held = service.http.request("PUT", f"{service.url}/subjects/{person}/hold", json={"reason": "case 12"})
    assert held.status == 200

    status, problem = delete(service, f"/subjects/{person}")
    small_db["predictions"].delete_many({"subject": person})  # as retention does

    assert (status, "case 12" in problem["detail"]) == (409, True)
    assert len(service.get(f"/subjects/{person}")[1]["predictions"]) == 3
    assert service.get(f"/subjects/{person}/hold")[1]["hold"]["reason"] == "case 12"
    assert delete(service, f"/subjects/{person}/hold")[0] == 200
    assert service.get(f"/subjects/{person}/hold")[1]["hold"] is None
    assert delete(service, f"/subjects/{person}")[0] == 200
    assert person.encode() not in everything(small_db)


def test_the_command_erases_and_names_the_versions_that_learnt(service, small, small_db, person):
    spread = rows(12, 5)
    body = [{"a": row["a"], "b": row["b"], "person": person} for row in spread]
    ids = [one["prediction_id"] for one in service.post("/predict", body)[1]["predictions"]]
    labels = [{"prediction_id": i, "label": row["y"]} for i, row in zip(ids, spread, strict=True)]
    service.post("/labels", labels)
    wait_until(lambda: stored(small_db, person) == 12)
    trained = run(
        "mlops", "retrain", "small", "--promote", "never", "--json", STATE_DIR=service.state, **small
    )
    version = json.loads(trained.stdout)["version"]

    done = run("mlops", "erase", person, "--json", STATE_DIR=service.state, **small)

    found = json.loads(done.stdout)
    assert found["n_predictions"] == 12
    assert {"model": "small", "version": version, "n_rows": 12} in found["versions"]


def test_masked_fields_are_logged_without_what_they_say(service, small_db, person):
    ask(service, person, 1)
    wait_until(lambda: stored(small_db, person) == 1)

    kept = small_db["predictions"].find_one({"subject": person})["kept"]["ticket"]

    assert kept == "*-******-" + "*" * 30 + person[-2:]


@pytest.mark.parametrize("text", ["email", "email:burn", ":drop"])
def test_a_rule_that_cannot_be_read_names_the_setting(text):
    with pytest.raises(SettingsError, match=r"^REDACT_FIELDS: "):
        Redaction([text], lambda: b"")
