"""Promotions and rollbacks while requests come in: none fails, and each is answered by who is live."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
import urllib3

from tests.e2e.small_model import small_model
from tests.running import Service, run, wait_until
from utils.mongo import connection

log = logging.getLogger(__name__)

N_CLIENTS, PER_CLIENT_S = 8, 25
N_CHANGES, DWELL_S = 20, 1.5
FOLLOW_S = 5.0
ROW = b'{"a": 0.5, "b": -0.2}'


@pytest.fixture(scope="module")
def small(mongo_uri, tmp_path_factory):
    """Four versions, of which the first is champion."""
    folder = tmp_path_factory.mktemp("models")
    with small_model(mongo_uri, folder) as settings:
        for _ in range(3):
            assert run("model", "train", "small", STATE_DIR=folder, **settings).returncode == 0
        yield settings


@pytest.fixture
def service(small, tmp_path):
    with Service(tmp_path, **small, WEB_CONCURRENCY=2) as found:
        yield found.wait_until_ready()


def ask(service, stop):
    """Ask at a steady pace until stopped; returns (start, end, status, version) of each request."""
    found, due = [], time.monotonic()
    while not stop.is_set():
        sent = time.time()
        answer = service.http.request(
            "POST", f"{service.url}/predict", body=ROW, headers={"Content-Type": "application/json"}
        )
        found.append((sent, time.time(), answer.status, answer.headers.get("X-Model-Version")))
        due += 1 / PER_CLIENT_S
        time.sleep(max(0.0, due - time.monotonic()))
    return found


def change(service):
    """Promote and roll back in turn; returns (instant, version) of each change."""
    changes = []
    for number in range(N_CHANGES):
        action, body = (
            ("promote", {"version": str(number // 2 % 3 + 2)}) if number % 2 == 0 else ("rollback", {})
        )
        status, entry = service.post(f"/models/small/{action}", body)
        assert status == 200, entry
        changes.append((datetime.fromisoformat(entry["at"]).timestamp(), entry["version"]))
        time.sleep(DWELL_S)
    return changes


def live(changes, start, end):
    """Return the versions that were live at any time in [start, end]."""
    ends = [at for at, _ in changes[1:]] + [float("inf")]
    return {v for (at, v), until in zip(changes, ends, strict=True) if at <= end and until >= start}


def test_twenty_promotions_and_rollbacks_under_load_fail_no_request(service):
    stop, began = threading.Event(), time.time()
    with ThreadPoolExecutor(N_CLIENTS) as clients:
        asked = [clients.submit(ask, service, stop) for _ in range(N_CLIENTS)]
        changes = [(0.0, "1"), *change(service)]
        stop.set()
        answers = [answer for one in asked for answer in one.result()]

    rate = len(answers) / (time.time() - began)
    lags = [
        max((sent - at for sent, _, _, v in answers if at < sent < until and v == old), default=0.0)
        for (_, old), (at, _), (until, _) in zip(
            changes, changes[1:], [*changes[2:], (1e12, "")], strict=False
        )
    ]
    log.info("%d requests, %.0f/s, slowest to follow %.2f s", len(answers), rate, max(lags))
    assert [answer for answer in answers if answer[2] != 200] == []
    assert all(v in live(changes, sent - FOLLOW_S, end) for sent, end, _, v in answers)
    assert max(lags) < FOLLOW_S
    assert {v for *_, v in answers} == {"1", "2", "3", "4"}


def test_a_damaged_champion_is_refused_told_and_the_one_in_memory_goes_on(service, small, tmp_path):
    db = connection.connect(small["MONGO_URI"], small["MONGO_DB"])
    run("mlops", "promote", "small", "--version", "4", STATE_DIR=tmp_path, **small)
    wait_until(lambda: service.get("/models/small")[1]["version"] == "4", 5)
    file = db["fs.files"].find_one({"filename": "small/4/pipeline.joblib"})
    chunk = db["fs.chunks"].find_one({"files_id": file["_id"]})
    broken = bytes([chunk["data"][0] ^ 1]) + chunk["data"][1:]
    db["fs.chunks"].update_one({"_id": chunk["_id"]}, {"$set": {"data": broken}})

    status, body = service.post("/predict", ROW)
    refused = run("mlops", "promote", "small", "--version", "4", STATE_DIR=tmp_path, **small)
    with Service(tmp_path / "second", **small) as second:
        wait_until(lambda: answers_at_all(second))
        second_status = second.get("/readyz")[0]

    assert (status, body["version"]) == (200, "4")
    assert refused.returncode == 1
    assert "not what was signed" in refused.stderr
    assert second_status == 503
    connection.close(db)


def answers_at_all(service):
    try:
        return service.get("/healthz")[0] == 200
    except urllib3.exceptions.HTTPError:
        return False
