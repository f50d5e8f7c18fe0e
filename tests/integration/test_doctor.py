"""``mlops doctor`` finds what is wrong with a deployment, and says what to do."""

import json

import pytest

from mlops import doctor
from mlops.services import build
from tests.running import run
from utils.mongo import indexes
from utils.settings import Settings


@pytest.fixture
def settings(mongo_uri, db, tmp_path):
    """A database with nothing in it but indexes."""
    indexes.ensure(db, None)
    return {"MONGO_URI": mongo_uri, "MONGO_DB": db.name, "STATE_DIR": tmp_path, "TRACKERS": ""}


def examined(**settings):
    """Return the exit code and the findings that are not fine, by check."""
    done = run("mlops", "doctor", "--json", **settings)
    found = {one["check"]: one for one in json.loads(done.stdout) if one["state"] != "ok"}
    return done.returncode, found


def test_a_model_without_a_champion_is_found_with_the_command_that_trains_it(settings):
    code, found = examined(**settings)

    assert code == 1
    assert found["models"]["fix"].startswith("python -m model train ")


@pytest.mark.parametrize(("given", "is_fault"), [({}, True), ({"MONGO_URI": "mongodb://elsewhere"}, False)])
def test_a_private_mongodb_on_a_machine_that_goes_is_a_fault(monkeypatch, given, is_fault):
    monkeypatch.setenv("DYNO", "web.1")
    monkeypatch.delenv("MONGO_URI", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    found = list(doctor._store(build(Settings())))

    assert [one.state for one in found] == ["fault"] * is_fault


def test_a_mongodb_that_is_away_is_one_fault_and_the_rest_is_still_looked_at(tmp_path):
    nowhere = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"

    code, found = examined(MONGO_URI=nowhere, STATE_DIR=tmp_path)

    assert code == 1
    assert found["mongodb"]["state"] == "fault"
    assert {"alerts", "mongodb"} <= found.keys()
    assert "clock" not in found


def test_open_doors_proxies_and_rows_set_aside_are_found(settings, tmp_path):
    (tmp_path / "spool" / "refused").mkdir(parents=True)
    (tmp_path / "spool" / "refused" / "a.json").write_text("{}")
    wide = {"HOST": "0.0.0.0", "ALLOW_ANONYMOUS": "true", "TRUSTED_PROXIES": "*"}

    _, found = examined(**settings, **wide)

    assert {"keys", "proxies", "disk"} <= found.keys()
    assert "API_KEYS" in found["keys"]["fix"]


def test_missing_indexes_are_found(settings, db):
    db["model_history"].drop()

    assert examined(**settings)[1]["indexes"]["fix"] == "python -m mlops release"


def test_a_file_of_keys_that_everybody_may_write_is_a_fault(settings, tmp_path):
    path = tmp_path / "keys"
    path.write_text("plain\n")
    path.chmod(0o666)

    assert examined(**settings, API_KEYS_FILE=path)[1]["keys"]["state"] == "fault"


def test_people_get_a_line_a_finding_and_what_to_do_below(settings):
    told = run("mlops", "doctor", **settings).stdout

    assert "WARNING alerts" in told
    assert "Set ALERT_WEBHOOK_URL" in told
