"""Each due job runs exactly once, with any number of clocks, and late rather than never."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from mlops import clock as clocks
from mlops.clock import Clock, Job
from utils.errors import SettingsError, UnavailableError
from utils.mongo.job_runs import JobRunStore

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def at(monkeypatch):
    """Set what time it is for all clocks."""

    def set_time(moment):
        monkeypatch.setattr(clocks, "now", lambda: moment)

    return set_time


def hourly(ran, fail=False):
    def run(due_at):
        ran.append(due_at)
        if fail:
            raise RuntimeError("no")
        return "done"

    return Job("hourly", "MONITOR_CRON", "0 * * * *", run)


def test_a_job_runs_once_for_its_due_time(db, at):
    ran = []
    at(NOON - timedelta(minutes=5))
    clock = Clock([hourly(ran)], JobRunStore(db))

    for moment in (NOON - timedelta(seconds=1), NOON, NOON + timedelta(minutes=1)):
        at(moment)
        clock.look()

    assert ran == [NOON]


def test_ten_clocks_at_once_run_a_job_once(db, at):
    ran = []
    at(NOON - timedelta(minutes=5))
    many = [Clock([hourly(ran)], JobRunStore(db)) for _ in range(10)]
    at(NOON)
    threads = [threading.Thread(target=clock.look) for clock in many]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ran == [NOON]
    assert JobRunStore(db).last("hourly")["outcome"] == "ok"


def test_a_clock_that_was_away_runs_what_was_due_late_and_in_order(db, at):
    ran = []
    at(NOON - timedelta(minutes=5))
    first = Clock([hourly(ran)], JobRunStore(db))
    at(NOON)
    first.look()

    at(NOON + timedelta(hours=3, minutes=10))
    Clock([hourly(ran)], JobRunStore(db)).look()

    assert ran == [NOON, *(NOON + timedelta(hours=i) for i in (1, 2, 3))]
    assert JobRunStore(db).last("hourly")["outcome"] == "late"


def test_a_long_pause_is_caught_up_within_bounds(db, at):
    ran = []
    JobRunStore(db).claim("hourly", NOON - timedelta(days=90), "before")
    JobRunStore(db).finish("hourly", NOON - timedelta(days=90), "before", "ok")
    at(NOON)

    Clock([hourly(ran)], JobRunStore(db)).look()

    assert len(ran) == clocks.MAX_CATCH_UP
    assert ran[-1] == NOON


def test_a_job_that_fails_is_remembered_and_the_next_due_time_runs(db, at):
    ran = []
    at(NOON - timedelta(minutes=5))
    clock = Clock([hourly(ran, fail=True)], JobRunStore(db))

    for hours in (0, 1):
        at(NOON + timedelta(hours=hours))
        clock.look()

    last = JobRunStore(db).last("hourly")
    assert len(ran) == 2
    assert (last["outcome"], last["detail"]) == ("failed", "RuntimeError: no")


class Away:
    """Job runs that cannot be stored for a moment, as while MongoDB changes its primary."""

    def __init__(self, runs, n_failures):
        self._runs, self._left = runs, n_failures

    def finish(self, *run):
        self._left -= 1
        if self._left >= 0:
            raise UnavailableError("MongoDB is changing its primary")
        return self._runs.finish(*run)

    def __getattr__(self, name):
        return getattr(self._runs, name)


def test_what_a_change_of_the_primary_interrupts_is_finished_by_the_clock_that_runs_it(db, at, monkeypatch):
    monkeypatch.setattr(clocks, "RETRY_S", 0)
    ran = []

    def interrupted_once(due_at):
        ran.append(due_at)
        if len(ran) == 1:
            raise UnavailableError("MongoDB is changing its primary")
        return "done"

    at(NOON - timedelta(minutes=5))
    clock = Clock([Job("hourly", "MONITOR_CRON", "0 * * * *", interrupted_once)], Away(JobRunStore(db), 2))
    at(NOON)
    clock.look()

    last = JobRunStore(db).last("hourly")
    assert ran == [NOON, NOON]
    assert (last["state"], last["outcome"], last["n_attempts"]) == ("finished", "ok", 1)


def test_a_clock_that_is_to_stop_begins_nothing_more(db, at):
    ran, stop = [], threading.Event()
    JobRunStore(db).claim("hourly", NOON - timedelta(hours=3), "before")
    JobRunStore(db).finish("hourly", NOON - timedelta(hours=3), "before", "ok")
    at(NOON)

    def asked_to_stop_meanwhile(due_at):
        stop.set()
        ran.append(due_at)
        return "done"

    job = Job("hourly", "MONITOR_CRON", "0 * * * *", asked_to_stop_meanwhile)
    Clock([job], JobRunStore(db)).run_until(stop)

    assert ran == [NOON - timedelta(hours=2)]
    assert JobRunStore(db).last("hourly")["due_at"] == ran[0]


def test_a_run_whose_clock_was_killed_is_taken_over(db, at, monkeypatch):
    ran = []
    monkeypatch.setattr(clocks, "STALE_S", 0)
    JobRunStore(db).claim("hourly", NOON, "the killed one")
    at(NOON + timedelta(minutes=1))

    Clock([hourly(ran)], JobRunStore(db)).look()

    assert ran == [NOON]


def test_a_cron_line_that_means_nothing_names_its_variable():
    with pytest.raises(SettingsError, match="MONITOR_CRON"):
        Clock([Job("hourly", "MONITOR_CRON", "61 * * * *", str)], None)


def test_a_clock_stops_when_it_is_asked_to(db):
    stop = threading.Event()
    clock = Clock([hourly([])], JobRunStore(db))
    thread = threading.Thread(target=clock.run_until, args=(stop,))
    thread.start()

    stop.set()
    thread.join(timeout=10)

    assert not thread.is_alive()
