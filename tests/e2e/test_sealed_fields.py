"""Features that are kept encrypted: found nowhere, shown to who holds the key, counted and learnt from."""

import base64
import json
import struct
import uuid
from pathlib import Path

import bson
import gridfs
import pytest

from mlops.services import build
from tests.e2e.small_model import SPEC, rows, small_model
from tests.running import Service, run, wait_until
from utils.errors import SettingsError
from utils.settings import load

KEY, NEXT = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
SEALED = {"ENCRYPT_FIELDS": "a,small/ticket", "ENCRYPTION_KEYS": KEY}
ADMIN = {"X-API-Key": "the admin"}
NUMBER = 0.1234567890123


@pytest.fixture(scope="module")
def small(mongo_uri, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    with small_model(mongo_uri, folder, SPEC + "id: ticket\nsubject: person\n") as found:
        yield found | {"API_KEYS": "a caller", "ADMIN_API_KEYS": ADMIN["X-API-Key"]}


@pytest.fixture(scope="module")
def service(small, tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    with Service(state, **small, **SEALED, WEB_CONCURRENCY=1) as found:
        found.state = state
        yield found.wait_until_ready()


@pytest.fixture
def ticket():
    return f"marker-{uuid.uuid4().hex}"


def ask(service, small_db, ticket, body):
    """Have predictions made; returns their ids when they are stored."""
    named = [{**row, "ticket": ticket, "person": ticket[-8:]} for row in body]
    status, answer = service.post("/predict", named, **ADMIN)
    assert status == 200
    ids = [one["prediction_id"] for one in answer["predictions"]]
    wait_until(lambda: small_db["predictions"].count_documents({"_id": {"$in": ids}}) == len(ids))
    return ids


def everything(small_db, folder):
    """Return all that MongoDB and a state folder hold, as bytes."""
    found = [bson.encode(one) for name in small_db.list_collection_names() for one in small_db[name].find()]
    bucket = gridfs.GridFS(small_db)
    found += [bucket.get(file["_id"]).read() for file in small_db["fs.files"].find()]
    return b"".join([*found, *(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())])


def test_values_are_found_nowhere_and_shown_to_an_admin(service, small_db, ticket):
    [one] = ask(service, small_db, ticket, [{"a": NUMBER, "b": 1.5}])

    held = everything(small_db, service.state)
    shown = service.get(f"/predictions/{one}", **ADMIN)[1]
    page = service.get(f"/dashboard/small/predictions/{one}", **ADMIN)[1]

    assert ticket.encode() not in held
    assert struct.pack("<d", NUMBER) not in held
    assert struct.pack(">d", NUMBER) not in held
    assert (shown["features"], shown["kept"]) == ({"a": NUMBER, "b": 1.5}, {"ticket": ticket})
    assert ("0.123" in page, "vigia1:" in page) == (True, False)
    assert service.get(f"/predictions/{one}", **{"X-API-Key": "a caller"})[0] == 403


def test_a_person_sees_what_is_kept_of_them(service, small_db, ticket):
    ask(service, small_db, ticket, [{"a": NUMBER, "b": 1.5}])

    [row] = service.get(f"/subjects/{ticket[-8:]}", **ADMIN)[1]["predictions"]

    assert (row["features"]["a"], row["kept"]["ticket"]) == (NUMBER, ticket)


def test_drift_is_counted_and_models_learn_from_the_values(service, small_db, small, ticket):
    drifted = [{"a": row["a"] + 50, "b": row["b"]} for row in rows(400, 3)]
    ids = ask(service, small_db, ticket, drifted)
    labels = [{"prediction_id": one, "label": row["y"]} for one, row in zip(ids, rows(400, 3), strict=True)]
    service.post("/labels", labels, **ADMIN)

    own = {"STATE_DIR": service.state, **small, **SEALED}
    report = json.loads(run("mlops", "monitor", "small", "--json", **own).stdout)
    learnt = run("mlops", "retrain", "small", "--promote", "never", "--json", **own)
    [check] = [one for one in report["features"] if one["feature"] == "a"]

    assert check["drift"] is True
    assert check["median_current"] > 40
    assert json.loads(learnt.stdout)["trained_on"]["n_rows"] == 460


def test_rows_from_before_and_under_an_old_key_are_sealed_with_the_first_one(
    service, small_db, small, ticket
):
    person, kept = ticket[-8:], {"ticket": f"plain {ticket}"}
    [one] = ask(service, small_db, ticket, [{"a": NUMBER, "b": 1.5}])
    plain = small_db["predictions"].find_one({"_id": one}) | {"_id": f"{one} plain", "kept": kept}
    small_db["predictions"].insert_one(plain | {"features": {"a": NUMBER, "b": 1.5}})
    own = {"STATE_DIR": service.state, **small, **SEALED}

    done = run("mlops", "seal", "--json", **own | {"ENCRYPTION_KEYS": f"{NEXT},{KEY}"})
    again = run("mlops", "seal", "--json", **own | {"ENCRYPTION_KEYS": NEXT})
    found = run("mlops", "subjects", "export", person, **own | {"ENCRYPTION_KEYS": NEXT})

    rows_shown = json.loads(found.stdout)["predictions"]
    assert json.loads(done.stdout)["rows"] >= 2
    assert json.loads(again.stdout) == {"rows": 0}
    assert [(row["features"]["a"], row["kept"]["ticket"][-32:]) for row in rows_shown] == [
        (NUMBER, ticket[-32:])
    ] * 2
    run("mlops", "seal", **own | {"ENCRYPTION_KEYS": f"{KEY},{NEXT}"})


def test_a_rotated_key_reads_what_the_old_one_wrote_and_a_lost_one_is_named(service, small_db, small, ticket):
    person = ticket[-8:]
    ask(service, small_db, ticket, [{"a": NUMBER, "b": 1.5}])
    own = {"STATE_DIR": service.state, **small, "ENCRYPT_FIELDS": "a"}

    rotated = run("mlops", "subjects", "export", person, **own, ENCRYPTION_KEYS=f"{NEXT},{KEY}")
    lost = run("mlops", "subjects", "export", person, **own, ENCRYPTION_KEYS=NEXT)

    assert json.loads(rotated.stdout)["predictions"][0]["features"]["a"] == NUMBER
    assert lost.returncode == 1
    assert "which is not in ENCRYPTION_KEYS" in lost.stderr
    assert NEXT not in lost.stderr + rotated.stderr


@pytest.mark.parametrize(
    "given", [{"ENCRYPTION_KEYS": ""}, {"ENCRYPTION_KEYS": "short"}, {"ENCRYPT_FIELDS": "c"}]
)
def test_a_setting_that_cannot_be_used_stops_the_start_and_is_named(small, given):
    environ = {name: str(value) for name, value in (small | SEALED | given).items()}

    with pytest.raises(SettingsError, match=next(iter(given))) as caught:
        build(load(environ, None))

    assert KEY not in caught.value.detail
