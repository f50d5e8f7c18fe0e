"""Retraining over HTTP and by the command line, with real processes and a model that trains in a moment."""

import json
import os
import signal

import pytest

from tests.e2e.small_model import rows, small_model
from tests.running import Service, run, wait_until


@pytest.fixture(scope="module")
def small(mongo_uri, tmp_path_factory):
    with small_model(mongo_uri, tmp_path_factory.mktemp("models")) as settings:
        yield settings


@pytest.fixture(scope="module")
def service(small, tmp_path_factory):
    with Service(tmp_path_factory.mktemp("state"), **small) as found:
        yield found.wait_until_ready()


def champion(small_db):
    return small_db["model_history"].find_one({"model": "small"}, sort=[("seq", -1)])["version"]


def put(service, path):
    answer = service.http.request("PUT", service.url + path)
    return answer.status, answer.json()


def test_a_challenger_that_is_not_better_is_stored_and_not_promoted(service, small_db):
    before = champion(small_db)

    status, outcome = put(service, "/run-pipeline")

    assert (status, outcome["is_promoted"], outcome["gate"]["verdict"]) == (200, False, "too few rows")
    assert outcome["champion"]["version"] == before == champion(small_db)
    assert set(outcome["metrics"]) == {"roc_auc", "precision", "recall", "f1"}
    assert small_db["model_versions"].count_documents({"model": "small", "version": outcome["version"]}) == 1


@pytest.mark.parametrize("path", ["/models/small/retrain", "/retrain-small"])
def test_a_challenger_is_not_promoted_where_nobody_asks_for_it(service, small_db, path):
    before = champion(small_db)

    status, outcome = service.post(f"{path}?promote=never", rows(400, 2))

    assert (status, outcome["is_promoted"], champion(small_db)) == (200, False, before)
    assert outcome["rows"] == {"n_bundled": 60, "n_logged": 0, "n_given": 400}


BAD = [
    ("three rows", rows(3, 3), "too_few", "#"),
    ("one class", [row | {"y": 1} for row in rows(50, 3)], "one_class", "#"),
    ("a wrong label", [*rows(50, 3), {"a": 1.0, "b": 1.0, "y": "maybe"}], "label", "#/50/y"),
    ("a missing target", [*rows(50, 3), {"a": 1.0, "b": 1.0}], "missing", "#/50/y"),
    ("a wrong feature", {"data": [*rows(50, 3), {"a": "x", "b": 1.0, "y": 1}]}, "type", "#/data/50/a"),
]


@pytest.mark.parametrize(("body", "code", "pointer"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_rows_are_refused_with_the_reason_and_the_champion_stays(service, small_db, body, code, pointer):
    before = champion(small_db)

    status, problem = service.post("/models/small/retrain", body)

    assert status == 422
    assert (problem["errors"][0]["code"], problem["errors"][0]["pointer"]) == (code, pointer)
    assert champion(small_db) == before


def test_a_long_training_answers_with_its_job_which_tells_the_end(service):
    body = json.dumps(rows(400, 4)).encode()
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}

    answer = service.http.request(
        "POST", f"{service.url}/models/small/retrain?promote=never", body=body, headers=headers
    )
    wait_until(lambda: service.get(answer.headers["Location"])[1]["state"] == "finished")

    job = service.get(answer.headers["Location"])[1]
    assert answer.status == 202
    assert job["result"]["is_promoted"] is False


def test_a_second_training_of_a_model_waits_its_turn_and_a_killed_one_fails(service, small_db):
    before = champion(small_db)
    headers = {"Prefer": "respond-async"}
    _, first = service.post("/models/small/retrain", rows(400, 5), **headers)

    status, problem = service.post("/models/small/retrain", rows(400, 5), **headers)
    kill_training(first["job"])
    wait_until(lambda: service.get(first["url"])[1]["state"] == "failed")

    assert (status, problem["title"]) == (409, "Conflict")
    assert service.get(first["url"])[1]["problem"]["code"] == "killed"
    assert champion(small_db) == before
    assert put(service, "/run-pipeline?promote=never")[0] == 200


def kill_training(job):
    """Kill the process that trains under a job as soon as there is one."""
    import subprocess

    found = []

    def is_there():
        listed = subprocess.run(["pgrep", "-f", f"mlops retrain .*{job}"], capture_output=True, text=True)
        found.extend(map(int, listed.stdout.split()))
        return bool(found)

    wait_until(is_there)
    os.kill(found[0], signal.SIGKILL)


def test_labelled_predictions_are_learnt_from_and_a_better_challenger_takes_over(service, small_db):
    truth = rows(1_200, 6)
    inputs = [{"a": row["a"], "b": row["b"]} for row in truth]
    _, body = service.post("/predict", inputs)
    ids = [one["prediction_id"] for one in body["predictions"]]
    wait_until(lambda: small_db["predictions"].count_documents({"_id": {"$in": ids}}) == len(ids))
    labels = [{"prediction_id": one, "label": r["y"]} for one, r in zip(ids, truth, strict=True)]
    service.post("/labels", labels)

    status, outcome = put(service, "/models/small/run-pipeline")

    assert (status, outcome["is_promoted"], outcome["gate"]["verdict"]) == (200, True, "better")
    assert outcome["gate"]["low"] > 0
    assert outcome["rows"]["n_logged"] == len(ids)
    assert champion(small_db) == outcome["version"]
    wait_until(lambda: service.post("/predict", inputs[0])[1]["version"] == outcome["version"], 5)
    entry = small_db["model_history"].find_one({"model": "small", "version": outcome["version"]})
    assert "gain in roc_auc" in entry["reason"]


def test_the_command_line_says_by_its_exit_code_that_the_gate_failed(small, tmp_path):
    done = run("mlops", "retrain", "small", "--json", STATE_DIR=tmp_path, **small)

    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout)["gate"]["verdict"] != "better"


def test_always_replaces_the_champion_whatever_it_is_worth(service, small_db):
    status, outcome = put(service, "/run-pipeline?promote=always")

    assert (status, outcome["is_promoted"], champion(small_db)) == (200, True, outcome["version"])


def test_an_alert_can_be_acknowledged_and_silenced(service, small_db):
    from utils.mongo.alerts import AlertStore
    from utils.time import now

    alert, _ = AlertStore(small_db).open_or_touch("small", "drift/a", {}, now())
    path = f"/models/small/alerts/{alert['id']}"

    assert service.post(f"{path}/acknowledge", b"")[1]["acknowledged_by"] == "127.0.0.1"
    assert service.post(f"{path}/silence", {"hours": 5})[1]["silenced_until"] > now().isoformat()
    assert service.post(f"{path}/silence", {"hours": -1})[0] == 422
    assert service.post("/models/small/alerts/nothing/silence", b"")[0] == 404
