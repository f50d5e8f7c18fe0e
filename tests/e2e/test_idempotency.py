"""A request that comes again under its ``Idempotency-Key`` is answered as the first time and logged once."""

import json
import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.running import SONG, wait_until

TYPE = {"Content-Type": "application/json"}


@pytest.fixture
def key():
    return {"Idempotency-Key": uuid.uuid4().hex}


def ids(body):
    return [row["prediction_id"] for row in body["predictions"]]


def raw(service, body, headers, path="/predict"):
    """Ask over a connection of its own, so that any worker may answer."""
    fresh = {**TYPE, **headers, "Connection": "close"}
    return service.http.request("POST", service.url + path, body=json.dumps(body), headers=fresh)


def n_logged(database, found):
    return database["predictions"].count_documents({"_id": {"$in": found}})


def test_the_same_request_gets_the_same_answer_from_every_worker(service, database, key):
    first = raw(service, [SONG] * 3, key)
    again = [raw(service, [SONG] * 3, key) for _ in range(12)]

    assert {answer.data for answer in again} == {first.data}
    assert {answer.headers["Idempotency-Replayed"] for answer in again} == {"true"}
    assert "Idempotency-Replayed" not in first.headers
    assert again[0].headers["X-Model-Version"] == first.json()["version"]
    wait_until(lambda: n_logged(database, ids(first.json())) == 3)


def test_another_body_under_the_same_key_is_a_conflict(service, key):
    service.post("/predict", SONG, **key)

    status, problem = service.post("/predict", SONG | {"tempo": 90.0}, **key)

    assert (status, problem["code"]) == (409, "conflict")


def test_a_key_stands_for_one_path_and_a_request_without_one_is_new_each_time(service, key):
    found = [service.post(path, SONG, **key)[1] for path in ("/predict", "/v1/predict", "/predict-song")]
    found += [service.post("/predict", SONG)[1] for _ in range(2)]

    assert len({ids(body)[0] for body in found}) == 5


def test_a_key_whose_request_failed_may_come_again_with_a_better_body(service, key):
    refused, _ = service.post("/predict", {"tempo": "fast"}, **key)
    answered, _ = service.post("/predict", SONG, **key)

    assert (refused, answered) == (422, 200)


@pytest.mark.parametrize("text", [" ", "x" * 300])
def test_a_key_that_is_none_is_a_bad_request(service, text):
    assert service.post("/predict", SONG, **{"Idempotency-Key": text})[0] == 400


def test_labels_take_a_key_too(service, key):
    prediction_id = ids(service.post("/predict", SONG)[1])[0]
    label = [{"prediction_id": prediction_id, "label": 1}]

    found = [raw(service, label, key, "/labels") for _ in range(2)]
    other = raw(service, [{"prediction_id": prediction_id, "label": 0}], key, "/labels")

    assert [answer.status for answer in found] == [200, 200]
    assert found[1].headers["Idempotency-Replayed"] == "true"
    assert other.status == 409


def test_of_many_at_once_all_that_are_answered_get_the_same(service, database, key):
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: raw(service, SONG, key), range(40)))

    late = {answer.headers.get("Retry-After") for answer in answers if answer.status == 409}
    bodies = {answer.data for answer in answers if answer.status == 200}
    assert {answer.status for answer in answers} <= {200, 409}
    (body,) = bodies
    assert late <= {"1"}
    wait_until(lambda: n_logged(database, ids(json.loads(body))) == 1)


def test_a_chunked_body_counts_as_the_same_body(service, key):
    text = json.dumps(SONG).encode()
    chunked = service.http.request(
        "POST", f"{service.url}/predict", body=iter([text[:20], text[20:]]), headers={**TYPE, **key}
    )
    whole = service.http.request("POST", f"{service.url}/predict", body=text, headers={**TYPE, **key})

    assert (chunked.status, whole.status) == (200, 200)
    assert whole.data == chunked.data


def test_a_key_is_known_after_every_worker_was_killed(serve, key):
    service = serve()
    first = raw(service, SONG, key)
    for worker in workers(service):
        os.kill(worker, signal.SIGKILL)
    wait_until(service.is_ready)

    assert raw(service, SONG, key).data == first.data


def workers(service):
    """Return the ids of the worker processes."""
    master = service.process.pid
    return [int(word) for word in Path(f"/proc/{master}/task/{master}/children").read_text().split()]
