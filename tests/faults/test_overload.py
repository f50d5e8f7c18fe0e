"""More than the service can do: excess is refused at once, what was accepted is answered, health always."""

import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from app.server.worker import REST_THREADS
from tests.faults.overload import N_PENDING, ROW, SLOW, gated_service
from tests.running import wait_until

HEALTH = ("/healthz", "/livez", "/readyz", "/v2/health/live")
POST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    with gated_service(tmp_path_factory.mktemp("gated"), MAX_BODY_BYTES=100_000) as found:
        yield found


@pytest.fixture(scope="module")
def service(gated):
    return gated.service


@pytest.fixture(autouse=True)
def gate_is_closed_again(gated):
    yield
    for file in gated.gate.iterdir():
        file.unlink()


def ask_until_taken(service):
    """Ask for what waits; the thread of an earlier answer may take a moment to be free again."""
    while (found := service.post("/predict", SLOW))[0] == 503:
        pass
    return found


@pytest.fixture
def blocked(gated):
    """All threads that predict wait; afterwards they have answered."""
    with ThreadPoolExecutor(N_PENDING) as threads:
        waiting = [threads.submit(ask_until_taken, gated.service) for _ in range(N_PENDING)]
        wait_until(lambda: gated.n_waiting == N_PENDING)
        yield waiting
        gated.open()


def test_excess_is_refused_with_a_time_to_try_again(service, blocked):
    answer = service.http.request("POST", f"{service.url}/predict", body=json.dumps(ROW))

    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "MAX_PENDING" in answer.json()["detail"]


def test_predictions_that_take_long_hold_up_no_others(gated, service):
    n_slow = N_PENDING - 2  # room for one, and for one whose thread is not quite back from its answer
    with ThreadPoolExecutor(N_PENDING) as threads:
        waiting = [threads.submit(service.post, "/predict", SLOW) for _ in range(n_slow)]
        wait_until(lambda: gated.n_waiting == n_slow)
        found = [service.post("/predict", ROW)[0] for _ in range(50)]
        gated.open()

    assert found == [200] * 50
    assert [one.result()[0] for one in waiting] == [200] * n_slow


def test_what_was_accepted_is_answered_and_then_there_is_room_again(gated, service, blocked):
    refused = service.post("/predict", ROW)[0]
    gated.open()
    answered = [one.result()[0] for one in blocked]

    assert refused == 503
    assert answered == [200] * N_PENDING
    assert service.post("/predict", ROW)[0] == 200


def test_health_and_pages_are_answered_while_predictions_wait(service, blocked):
    found = {path: service.get(path)[0] for path in (*HEALTH, "/models", "/openapi.json")}

    assert set(found.values()) == {200}


def test_predictions_under_way_are_in_the_metrics(gated, service, blocked):
    assert in_progress(service) == N_PENDING

    gated.open()
    assert [one.result()[0] for one in blocked] == [200] * N_PENDING
    wait_until(lambda: in_progress(service) == 0)


def in_progress(service):
    text = service.get("/metrics")[1]
    return sum(float(value) for value in re.findall(r"^predict_in_progress(?:{.*})? (\S+)$", text, re.M))


def test_health_is_answered_while_every_lane_is_full(gated, service, blocked):
    statuses = []
    gated.mongo.members[0].pause()
    askers = [
        threading.Thread(target=lambda: statuses.append(service.get("/models/small/versions")[0]))
        for _ in range(2 * N_PENDING)
    ]
    for asker in askers:
        asker.start()
    wait_until(lambda: 503 in statuses)
    health = {path: service.get(path)[0] for path in HEALTH}
    gated.mongo.members[0].resume()
    for asker in askers:
        asker.join()

    assert set(health.values()) == {200}
    assert statuses.count(503) >= N_PENDING


def test_predictions_do_not_wait_for_those_that_name_a_version_or_ask_why(gated, service):
    paths = ("/models/small/versions/1/predict", "/predict?explain=true")
    with ThreadPoolExecutor(N_PENDING) as threads:
        slow = [threads.submit(service.post, paths[n % 2], SLOW) for n in range(N_PENDING)]
        wait_until(lambda: gated.n_waiting >= REST_THREADS)
        status = service.post("/predict", ROW)[0]
        gated.open()

    assert status == 200
    assert {one.result()[0] for one in slow} == {200}


def ask(service, sent):
    """Send bytes, and no more, and return the whole answer of a server that closes."""
    with closing(socket.create_connection(("127.0.0.1", service.port), timeout=30)) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 100001\r\n\r\n",
        POST + b"Content-Length: 999999999999\r\nExpect: 100-continue\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"c350\r\n%s\r\n" % bytes(50_000) * 2,
    ],
    ids=["a length", "a length and a question", "a chunk", "two chunks"],
)
def test_a_large_body_is_refused_before_it_comes(service, sent):
    answer = ask(service, sent)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer
    assert b"MAX_BODY_BYTES" in answer


def test_clients_that_never_end_their_request_hold_up_nobody(service):
    slow = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(100)]
    for number, connection in enumerate(slow):
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n{" if number % 2 else POST)

    found = [service.post("/predict", ROW)[0] for _ in range(20)]

    assert found == [200] * 20
    for connection in slow:
        connection.close()


def test_clients_that_never_read_their_answers_hold_up_nobody(service):
    sent = (POST + b"Content-Length: %d\r\n\r\n" % len(json.dumps(ROW)) + json.dumps(ROW).encode()) * 50
    deaf = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(4)]
    for connection in deaf:
        connection.sendall(sent)

    wait_until(lambda: service.post("/predict", ROW)[0] == 200)

    assert service.get("/healthz")[0] == 200
    for connection in deaf:
        connection.close()
