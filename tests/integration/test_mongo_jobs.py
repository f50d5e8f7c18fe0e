"""Leases and job runs on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from utils.mongo import indexes
from utils.mongo.job_runs import JobRunStore
from utils.mongo.leases import LeaseStore
from utils.time import now

DUE = now()


@pytest.fixture
def leases(db):
    return LeaseStore(db)


@pytest.fixture
def runs(db):
    indexes.ensure(db, None)
    return JobRunStore(db)


def expire(db, collection, field, seconds):
    """Let ``seconds`` pass for all documents of ``collection``."""
    db[collection].update_many({}, [{"$set": {field: {"$subtract": [f"${field}", seconds * 1000]}}}])


def test_of_many_who_want_a_lease_exactly_one_gets_it(leases):
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda owner: leases.acquire("clock", str(owner), 60), range(16)))

    assert sum(got) == 1


def test_a_lease_is_its_owners_until_it_expires(leases, db):
    assert leases.acquire("clock", "a", 60)
    assert leases.acquire("clock", "a", 60)
    assert not leases.acquire("clock", "b", 60)

    expire(db, "leases", "expires_at", 60)

    assert leases.acquire("clock", "b", 60)
    assert not leases.renew("clock", "a", 60)


def test_a_renewed_lease_lasts_from_then_on(leases, db):
    leases.acquire("clock", "a", 60)
    expire(db, "leases", "expires_at", 50)

    assert leases.renew("clock", "a", 60)

    expire(db, "leases", "expires_at", 50)
    assert not leases.acquire("clock", "b", 60)


def test_a_lease_that_was_given_back_is_free_and_only_its_owner_gives_it_back(leases):
    leases.acquire("clock", "a", 60)

    leases.release("clock", "b")
    assert not leases.acquire("clock", "b", 60)

    leases.release("clock", "a")
    assert leases.acquire("clock", "b", 60)


def test_a_due_job_is_claimed_once_however_many_clocks(runs, db):
    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(lambda clock: runs.claim("monitor", DUE, str(clock)), range(32)))

    assert sum(claimed) == 1
    assert db["job_runs"].count_documents({}) == 1
    assert runs.last("monitor")["owner"] == str(claimed.index(True))


def test_each_due_time_and_job_is_a_run_of_its_own(runs):
    later = DUE + timedelta(minutes=1)

    assert runs.claim("monitor", DUE, "a")
    assert runs.claim("monitor", later, "b")
    assert runs.claim("retrain", DUE, "b")
    assert runs.last("monitor")["due_at"] == later


def test_a_finished_run_keeps_its_outcome_and_is_not_run_again(runs):
    runs.claim("monitor", DUE, "a")

    assert runs.finish("monitor", DUE, "a", "ok", {"n_reports": 5})

    run = runs.last("monitor")
    assert (run["state"], run["outcome"], run["detail"]) == ("finished", "ok", {"n_reports": 5})
    assert run["finished_at"] >= run["started_at"]
    assert not runs.claim("monitor", DUE, "b")
    assert runs.take_over("b", 0) is None


def test_the_last_run_of_an_outcome_is_found_behind_newer_ones(runs):
    for minute, outcome in enumerate(["ok", "failed"]):
        runs.claim("monitor", DUE + timedelta(minutes=minute), "a")
        runs.finish("monitor", DUE + timedelta(minutes=minute), "a", outcome)

    assert runs.last("monitor")["outcome"] == "failed"
    assert runs.last("monitor", outcome="ok")["due_at"] == DUE
    assert runs.last("retrain") is None


def test_a_run_whose_holder_fell_silent_is_taken_over_by_exactly_one(runs, db):
    runs.claim("monitor", DUE, "killed")
    expire(db, "job_runs", "heartbeat_at", 120)

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda clock: runs.take_over(str(clock), 120), range(8)))

    [run] = [run for run in taken if run]
    assert (run["job"], run["due_at"], run["n_attempts"]) == ("monitor", DUE, 2)
    assert runs.last("monitor")["owner"] == run["owner"]


def test_a_holder_that_shows_life_keeps_its_run(runs, db):
    runs.claim("monitor", DUE, "a")
    expire(db, "job_runs", "heartbeat_at", 120)

    assert runs.heartbeat("monitor", DUE, "a")

    assert runs.take_over("b", 120) is None


def test_a_slow_holder_learns_that_its_run_was_taken_over(runs, db):
    runs.claim("monitor", DUE, "slow")
    expire(db, "job_runs", "heartbeat_at", 120)
    runs.take_over("fast", 120)

    assert not runs.heartbeat("monitor", DUE, "slow")
    assert not runs.finish("monitor", DUE, "slow", "ok")
    assert runs.finish("monitor", DUE, "fast", "ok")
