"""The whole service under load while its processes, its disk and its MongoDB fail.

After each: the predictions that were answered with 200 are the ones in MongoDB, each once. How long MongoDB
hangs is a matter of patience: ``FAULTS_STOP_S=60 python -m pytest tests/faults/test_service_faults.py``.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.small_model import small_model
from tests.faults.members import replica_set
from tests.faults.traffic import NOTHING_WRONG, Traffic, check, check_counts, counts, losses, stored_rows
from tests.running import Service, wait_until
from utils.mongo import connection

N_BATCH = 1_000
STOP_S = float(os.environ.get("FAULTS_STOP_S", "15"))


@pytest.fixture(scope="module")
def mongo(tmp_path_factory):
    """A MongoDB for this module, to be killed and stopped."""
    with replica_set(tmp_path_factory.mktemp("mongo"), 1) as found:
        yield found


@pytest.fixture(scope="module")
def small(mongo, tmp_path_factory):
    with small_model(mongo.uri, tmp_path_factory.mktemp("models")) as settings:
        yield settings


@pytest.fixture
def db(small):
    found = connection.connect(small["MONGO_URI"], small["MONGO_DB"])
    yield found
    connection.close(found)


@pytest.fixture(scope="module")
def service(small, tmp_path_factory):
    """A service that outlives the tests that use it."""
    with Service(tmp_path_factory.mktemp("service"), **small, WEB_CONCURRENCY=2) as found:
        yield found.wait_until_ready()


@pytest.fixture
def serve(small, tmp_path):
    """Start services that share a state folder; they are ended after the test."""
    started = []

    def start(state=tmp_path / "state", **settings):
        started.append(Service(state, **small, WEB_CONCURRENCY=2, **settings))
        return started[-1].wait_until_ready()

    yield start
    for service in started:
        service.stop()


def workers(service):
    """Return the ids of the worker processes."""
    master = service.process.pid
    return [int(word) for word in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def kill_all(service):
    """End master and workers at one moment, as the end of a container does."""
    os.killpg(service.process.pid, signal.SIGKILL)
    service.process.wait()


def test_killed_workers_lose_nothing(service, db):
    with Traffic(service) as traffic:
        for _ in range(3):
            traffic.flow()
            os.kill(workers(service)[0], signal.SIGKILL)
        traffic.flow()

    check(db, traffic)
    check_counts(db, traffic, service)


def test_what_is_asked_again_under_its_key_after_a_kill_is_logged_once(service, db):
    with Traffic(service, is_keyed=True) as traffic:
        for worker in workers(service):
            traffic.flow(50)
            os.kill(worker, signal.SIGKILL)
        traffic.flow(50)
    check(db, traffic)

    assert stored_rows(db, traffic).keys() == traffic.answered.keys()
    assert set(traffic.statuses) <= {200, 409}


def test_a_killed_master_loses_nothing_and_the_next_one_goes_on(serve, db):
    service = serve()
    with Traffic(service) as traffic:
        traffic.flow()
        service.process.kill()
        service.process.wait()
        serve(PORT=service.port)
        traffic.flow()

    check(db, traffic)


def test_what_a_killed_machine_had_answered_is_stored_by_the_next(serve, db, mongo):
    service = serve()
    with Traffic(service) as traffic:
        traffic.flow()
        mongo.members[0].pause()
        traffic.flow()
        kill_all(service)
        mongo.members[0].resume()
        service = serve()
        traffic.port = service.port
        traffic.flow()

    check(db, traffic)
    check_counts(db, traffic, service)


def test_a_record_that_a_kill_tore_hides_none_that_was_answered(serve, db, mongo, tmp_path):
    service = serve()
    mongo.members[0].pause()
    with Traffic(service) as traffic:
        traffic.flow()
        kill_all(service)
    for log in (tmp_path / "state" / "spool").glob("*-wal"):
        with log.open("ab") as file:
            file.write(b"\0\0\0\7 the beginning of a record")
    mongo.members[0].resume()
    service = serve()

    check(db, traffic)
    check_counts(db, traffic, service)


def test_a_killed_mongod_costs_no_answer(service, db, mongo):
    with Traffic(service) as traffic:
        traffic.flow()
        mongo.members[0].kill()
        traffic.flow(1_000)
        mongo.members[0].start()
        wait_until(lambda: mongo.primary() is not None, 90)
        traffic.flow()

    check(db, traffic)
    assert (set(traffic.statuses), traffic.cut) == ({200}, set())
    check_counts(db, traffic, service)


def test_a_mongod_that_hangs_costs_no_answer(service, db, mongo):
    with Traffic(service, n_clients=2) as traffic:
        traffic.flow()
        mongo.members[0].pause()
        ends_at = time.monotonic() + STOP_S
        while time.monotonic() < ends_at:
            traffic.flow(1)
            time.sleep(0.05)
        n_waiting = counts(service)["spooled"]
        mongo.members[0].resume()
        traffic.flow()

    check(db, traffic)
    assert (set(traffic.statuses), traffic.cut) == ({200}, set())
    assert n_waiting > 0
    check_counts(db, traffic, service)


def test_who_brings_a_label_while_mongod_hangs_is_soon_told_to_come_again(service, mongo):
    label = {"prediction_id": "unknown-1", "label": "no"}
    mongo.members[0].pause()
    try:
        answer = service.http.request("POST", f"{service.url}/labels", json=[label], timeout=10)
    finally:
        mongo.members[0].resume()

    assert (answer.status, answer.json()["title"]) == (503, "Unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    wait_until(lambda: service.post("/labels", [label])[0] == 200)


def test_a_stop_in_mid_burst_answers_what_it_took_and_leaves_nothing_behind(serve, db, tmp_path):
    service = serve()
    with Traffic(service, n_clients=8) as traffic:
        traffic.flow()
        code = service.stop()

    assert code == 0
    assert losses(db, traffic) == NOTHING_WRONG
    assert not list((tmp_path / "state" / "spool").glob("*.sqlite*"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


def test_a_full_disk_refuses_and_loses_nothing(serve, db, mongo, small_disk):
    service = serve(small_disk)
    with Traffic(service) as traffic:
        traffic.flow()
        mongo.members[0].pause()
        wait_until(lambda: traffic.statuses[503] > 100, 60)
        is_alive = service.get("/healthz")[0]
        mongo.members[0].resume()
        n_refused = traffic.statuses[503]
        traffic.flow(1_000)

    check(db, traffic)
    assert is_alive == 200
    assert (set(traffic.statuses), traffic.cut) == ({200, 503}, set())
    assert n_refused >= 100
    check_counts(db, traffic, service)


def test_a_spool_at_its_limit_refuses_with_a_time_to_try_again_and_keeps_what_it_answered(
    serve, db, mongo, tmp_path
):
    service = serve(tmp_path / "small", SPOOL_MAX_BYTES=1_000_000)
    before, answers = db.predictions.estimated_document_count(), []

    mongo.members[0].pause()
    try:
        wait_until(lambda: answers.append(batch(service)) or answers[-1].status != 200, 120)
        is_alive = service.get("/healthz")[0]
        wait_until(lambda: spool_bytes(service) > 500_000, 60)
    finally:
        mongo.members[0].resume()

    refused = answers.pop()
    assert (refused.status, refused.json()["code"], is_alive) == (503, "spool_full", 200)
    assert int(refused.headers["Retry-After"]) >= 1
    n_rows = before + len(answers) * N_BATCH
    wait_until(lambda: db.predictions.estimated_document_count() == n_rows, 60)
    wait_until(lambda: batch(service).status == 200, 60)


def spool_bytes(service):
    """Return what the metrics say of all workers' spools."""
    text = service.get("/metrics")[1]
    return sum(float(value) for value in re.findall(r"^log_spool_bytes(?:{.*})? (\S+)$", text, re.M))


def batch(service):
    """Have a batch of rows predicted; return the answer."""
    return service.http.request("POST", f"{service.url}/predict", json=[{"a": 0.5, "b": 1.0}] * N_BATCH)


def test_a_change_of_the_primary_costs_no_answer(tmp_path):
    with (
        replica_set(tmp_path / "mongo", 3) as mongo,
        small_model(mongo.uri, tmp_path) as settings,
        Service(tmp_path / "service", **settings, WEB_CONCURRENCY=2).wait_until_ready() as service,
        Traffic(service) as traffic,
    ):
        traffic.flow()
        first = mongo.primary()
        with first.client() as client:
            client.admin.command("replSetStepDown", 20, secondaryCatchUpPeriodSecs=10)
        wait_until(lambda: mongo.primary() not in (None, first), 60)
        traffic.flow()
        mongo.primary().kill()
        wait_until(lambda: mongo.primary() is not None, 60)
        traffic.flow()
        traffic.__exit__(None, None, None)
        db = connection.connect(settings["MONGO_URI"], settings["MONGO_DB"])
        check(db, traffic)
        check_counts(db, traffic, service)
        connection.close(db)

    assert (set(traffic.statuses), traffic.cut) == ({200}, set())
