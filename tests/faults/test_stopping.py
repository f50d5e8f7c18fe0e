"""SIGTERM to gunicorn under a request that runs: not ready at once, answered, stored, gone in time."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from tests.faults.overload import ROW, SLOW, gated_service
from tests.running import wait_until
from utils.mongo import connection

ENDS_WITHIN_S = 30  # what platforms give before they kill
REFUSED = (None, [])


def readiness(probe):
    """Return the status that a probe sees and the reasons; ``REFUSED`` where nobody listens any more."""
    try:
        probe.request("GET", "/readyz")
        answer = probe.getresponse()
        return answer.status, json.loads(answer.read())["reasons"]
    except (OSError, HTTPException):
        return REFUSED


def probe(service):
    """Return a connection, which is opened by its first request and then kept."""
    return HTTPConnection("127.0.0.1", service.port, timeout=30)


def newly_seen(service):
    """Return what ``readiness`` says to who was not connected before."""
    with closing(probe(service)) as connection:
        return readiness(connection)


def n_stored(gated, ids):
    db = connection.connect(str(gated.settings["MONGO_URI"]), str(gated.settings["MONGO_DB"]))
    found = db["predictions"].count_documents({"_id": {"$in": ids}})
    connection.close(db)
    return found


def test_a_stop_is_not_ready_at_once_and_ends_with_what_ran_answered_and_stored(tmp_path):
    with gated_service(tmp_path) as gated, ThreadPoolExecutor(1) as threads:
        service, kept = gated.service, probe(gated.service)
        _, first = service.post("/predict", ROW)
        before = readiness(kept)
        running = threads.submit(service.post, "/predict", SLOW)
        wait_until(lambda: gated.n_waiting == 1)

        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: newly_seen(service) == REFUSED)
        while_it_runs = [readiness(kept), running.done()]
        gated.open()
        status, body = running.result()
        code = service.process.wait(ENDS_WITHIN_S)
        kept.close()
        ids = [one["prediction_id"] for one in [*first["predictions"], *body["predictions"]]]
        stored = n_stored(gated, ids)

    assert before == (200, [])
    assert while_it_runs in [[(503, ["stopping"]), False], [REFUSED, False]]
    assert (status, code, stored) == (200, 0, 2)
    assert not list((tmp_path / "service" / "spool").glob("*.sqlite*"))


def n_answered(service):
    """Return how many rows were answered, by the service's own count."""
    return service.get("/readyz")[1]["log"]["answered"]


def ask_until_gone(service):
    """Ask over a new connection each time, until nobody answers; return the ids of all answers."""
    ids = []
    while True:
        with closing(probe(service)) as connection:
            try:
                connection.request("POST", "/predict", json.dumps(ROW), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                ids += [one["prediction_id"] for one in json.loads(answer.read())["predictions"]]
            except (OSError, HTTPException):
                return ids


def test_a_stop_among_new_connections_loses_nothing_that_was_answered(tmp_path):
    with (
        gated_service(tmp_path, WEB_CONCURRENCY=2, MAX_PENDING=64) as gated,
        ThreadPoolExecutor(6) as threads,
    ):
        service = gated.service
        asking = [threads.submit(ask_until_gone, service) for _ in range(6)]
        wait_until(lambda: n_answered(service) > 300)
        service.process.send_signal(signal.SIGTERM)
        code = service.process.wait(ENDS_WITHIN_S)
        ids = [one for thread in asking for one in thread.result()]
        stored = n_stored(gated, ids)

    assert code == 0 and len(ids) > 300
    assert stored == len(ids)
    assert "Traceback" not in service.log_path.read_text()
