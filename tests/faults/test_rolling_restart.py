"""Everything is restarted, one after another, under load: nobody is refused, nothing lost, no job run twice.

Three replicas behind clients that balance, two clocks, and a replica set of three, as in the compose file.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.small_model import small_model
from tests.faults.members import ReplicaSet, is_member, replica_set
from tests.faults.traffic import BalancedTraffic, check
from tests.running import ROOT, Service, environment, wait_until
from utils.mongo import connection
from utils.mongo.connection import Database
from utils.time import now

CRON = "* * * * *"
CAUGHT_UP = 3  # due times before the start, so that jobs run during the restarts, however short they are
PAUSE_S = 0.03


class Replica:
    """One web service that can be replaced at its address, with the state that it leaves."""

    def __init__(self, state: Path, settings: dict[str, object]) -> None:
        self._make = lambda **more: Service(state, **settings, WEB_CONCURRENCY=1, **more).wait_until_ready(90)
        self.service = self._make()

    def restart(self) -> None:
        """Stop it as a platform does, and start it again."""
        assert self.service.stop(timeout_s=60) == 0
        self.service = self._make(PORT=self.service.port)

    def stop(self) -> None:
        """End it."""
        self.service.stop(timeout_s=60)


class ClockProcess:
    """One clock."""

    def __init__(self, state: Path, settings: dict[str, object]) -> None:
        self._environ = environment(STATE_DIR=state, MONITOR_CRON=CRON, LOG_LEVEL="INFO", **settings)
        self._log = state / "clock.log"
        state.mkdir()
        self.start()

    def start(self) -> None:
        """Start it; return when it looks at what is due."""
        n_before = self.n_starts()
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "mlops", "clock"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environ, stdout=log, stderr=log)
        wait_until(lambda: self.n_starts() > n_before, 60, self._log.read_text)

    def n_starts(self) -> int:
        """Return how often it began to look."""
        return self._log.read_text().count(" runs: ") if self._log.exists() else 0

    def restart(self) -> None:
        """Stop it as a platform does, and start it again."""
        assert self.stop() == 0, self._log.read_text()[-2_000:]
        self.start()

    def stop(self) -> int:
        """End it and return its exit code."""
        self._process.terminate()
        return self._process.wait(60)


@contextmanager
def database(settings: dict[str, object]) -> Iterator[Database]:
    db = connection.connect(str(settings["MONGO_URI"]), str(settings["MONGO_DB"]))
    yield db
    connection.close(db)


def leave_work(db: Database) -> None:
    """Note a run of each job some minutes ago, so that those since are due."""
    before = now().replace(second=0, microsecond=0) - timedelta(minutes=CAUGHT_UP)
    jobs = ("monitor", "quality", "probation", "remedies", "shadows")
    ended = {"due_at": before, "state": "finished", "outcome": "ok", "n_attempts": 1, "finished_at": before}
    db["job_runs"].insert_many([{"_id": f"{job} before", "job": job, **ended} for job in jobs])


def restart_member(mongo: ReplicaSet, number: int) -> bool:
    """Replace one mongod, wait until the set is whole again, and return whether it was the primary."""
    member = mongo.members[number]
    was_primary = mongo.primary() is member
    member.stop()
    wait_until(lambda: mongo.primary() is not None, 60)
    member.start()
    wait_until(lambda: all(map(is_member, mongo.members)), 90)
    return was_primary


def runs_that_are_not_once(db: Database) -> list[dict[str, object]]:
    """Return the runs that another clock had to take over, and those that did not go well."""
    odd = [{"n_attempts": {"$ne": 1}}, {"outcome": {"$nin": ["ok", "late"]}}]
    return list(db["job_runs"].find({"$or": odd}))


def missed(db: Database) -> list[str]:
    """Return the due times, each a minute after the one before, that a job has no run of."""
    found = []
    for job in db["job_runs"].distinct("job"):
        due = sorted(run["due_at"] for run in db["job_runs"].find({"job": job}))
        gaps = [then for one, then in pairwise(due) if then - one != timedelta(minutes=1)]
        found += [f"{job} before {one}" for one in gaps]
    return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def test_a_rolling_restart_of_everything_costs_nothing(stack, tmp_path):
    mongo = stack.enter_context(replica_set(tmp_path / "mongo", 3))
    settings = stack.enter_context(small_model(mongo.uri, tmp_path))
    db = stack.enter_context(database(settings))
    leave_work(db)
    replicas = [Replica(tmp_path / f"replica-{number}", settings) for number in range(3)]
    clocks = [ClockProcess(tmp_path / f"clock-{number}", settings) for number in range(2)]
    for process in (*replicas, *clocks):
        stack.callback(process.stop)

    with BalancedTraffic([replica.service for replica in replicas], pause_s=PAUSE_S) as traffic:
        traffic.flow(100)
        n_primaries = 0
        for number, replica in enumerate(replicas):
            replica.restart()
            n_primaries += restart_member(mongo, number)
            traffic.flow(50)
        for clock in clocks:
            clock.restart()
        traffic.flow(100)
    check(db, traffic)
    wait_until(lambda: not db["job_runs"].count_documents({"state": "running"}), 60)

    assert n_primaries > 0
    assert (traffic.unhealed, set(traffic.statuses)) == ([], {200})
    assert (runs_that_are_not_once(db), missed(db)) == ([], [])
    assert db["job_runs"].count_documents({}) > 5 * CAUGHT_UP
