"""The clock: each due job runs exactly once, with any number of clocks, and late rather than never.

APScheduler only says when to look. What is due is read from the job runs in MongoDB: every due time after the
last one that anybody claimed. Who claims a due time runs it and sends heartbeats; when those stop, another
clock takes the run over. What MongoDB interrupts by changing its primary is tried again by who runs it.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from utils.errors import SettingsError, UnavailableError
from utils.mongo.job_runs import JobRunStore
from utils.stopping import Stop
from utils.time import now

log = logging.getLogger(__name__)

Result = TypeVar("Result")

SWEEP_S = 15
HEARTBEAT_S = 5
STALE_S = 20
MAX_CATCH_UP = 48
LATE_AFTER = timedelta(minutes=1)
PATIENCE_S, RETRY_S = 60.0, 0.5


@dataclass(frozen=True)
class Job:
    """Something that is due by a cron line (UTC); ``run`` gets the due time and returns what to remember."""

    name: str
    variable: str
    cron: str
    run: Callable[[datetime], str]

    def trigger(self) -> CronTrigger:
        """Return the cron line parsed. Raises SettingsError naming the variable."""
        return trigger_of(self.variable, self.cron)


def trigger_of(variable: str, cron: str) -> CronTrigger:
    """Return a cron line (UTC) parsed. Raises SettingsError naming the variable."""
    try:
        return CronTrigger.from_crontab(cron, timezone=UTC)
    except ValueError as error:
        raise SettingsError(f"{variable}: {cron!r} cannot be used. {error}.") from None


class Clock:
    """Runs what is due until stopped; ``told`` gets what came of each run."""

    def __init__(
        self, jobs: Sequence[Job], runs: JobRunStore, told: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self._told = told
        self._jobs = {job.name: job for job in jobs}
        self._triggers = {job.name: job.trigger() for job in jobs}
        self._runs = runs
        self._owner = f"{socket.gethostname()}/{os.getpid()}"
        self._started_at = now()
        self._one_at_a_time = threading.Lock()
        self._stop: Stop = threading.Event()

    def run_until(self, stop: Stop) -> None:
        """Look at each due time and each sweep until ``stop`` is set; a running job is finished first.

        What is due then and not begun is left to the other clocks, or to the next one.
        """
        self._stop = stop
        scheduler = BackgroundScheduler(timezone=UTC)
        for trigger in [*self._triggers.values(), IntervalTrigger(seconds=SWEEP_S, timezone=UTC)]:
            scheduler.add_job(self.look, trigger, misfire_grace_time=None, coalesce=True)
        scheduler.start()
        log.info("the clock %s runs: %s", self._owner, ", ".join(self._jobs))
        self.look()
        stop.wait()
        scheduler.shutdown(wait=True)

    def look(self) -> None:
        """Run everything that is due now and what another clock left behind."""
        with self._one_at_a_time:
            try:
                for job in self._jobs.values():
                    for due_at in self._due(job):
                        if not self._stop.is_set() and self._runs.claim(job.name, due_at, self._owner):
                            self._run(job, due_at)
                self._take_over()
            except UnavailableError as error:
                log.warning("nothing can run now: %s", error.detail)

    def _due(self, job: Job) -> Iterator[datetime]:
        """Yield the due times after the last claimed one, the oldest first, bounded after a long pause."""
        last = self._runs.last(job.name)
        since = last["due_at"] if last else self._started_at
        trigger, end = self._triggers[job.name], now()
        found: deque[datetime] = deque(maxlen=MAX_CATCH_UP)
        due_at = trigger.get_next_fire_time(since, since)
        while due_at is not None and due_at <= end:
            if due_at > since:
                found.append(due_at.astimezone(UTC))
            due_at = trigger.get_next_fire_time(due_at, due_at + timedelta(milliseconds=1))
        yield from found

    def _take_over(self) -> None:
        while not self._stop.is_set() and (run := self._runs.take_over(self._owner, STALE_S)):
            log.warning("taking over %s of %s, whose clock fell silent", run["job"], run["due_at"])
            if run["job"] in self._jobs:
                self._run(self._jobs[run["job"]], run["due_at"])
            else:
                self._runs.finish(run["job"], run["due_at"], self._owner, "failed", "no such job any more")

    def _run(self, job: Job, due_at: datetime) -> None:
        late = now() - due_at
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(job, due_at, ended), daemon=True)
        beat.start()
        try:
            outcome, detail = self._outcome(job, due_at, "late" if late > LATE_AFTER else "ok")
            self._patiently(lambda: self._runs.finish(job.name, due_at, self._owner, outcome, detail))
            if self._told is not None:
                self._told({"job": job.name, "due_at": due_at, "outcome": outcome, "detail": detail})
        finally:
            ended.set()
            beat.join()

    def _outcome(self, job: Job, due_at: datetime, well: str) -> tuple[str, str]:
        """Run a job and return how it ended and what to remember.

        Raises UnavailableError if the clock is to stop while MongoDB is away: others take the run over.
        """
        try:
            return well, self._patiently(lambda: job.run(due_at))
        except Exception as error:  # the clock must go on; the run says that it failed
            if isinstance(error, UnavailableError) and self._stop.is_set():
                raise
            log.exception("%s due at %s failed", job.name, due_at)
            return "failed", f"{type(error).__name__}: {error}"

    def _patiently(self, action: Callable[[], Result]) -> Result:
        """Return what ``action`` does, tried again for a while where MongoDB is away."""
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                return action()
            except UnavailableError as error:
                if time.monotonic() >= ends_at or self._stop.is_set():
                    raise
                log.warning("waiting for MongoDB: %s", error.detail)
            self._stop.wait(RETRY_S)

    def _beat(self, job: Job, due_at: datetime, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT_S):
            try:
                self._runs.heartbeat(job.name, due_at, self._owner)
            except UnavailableError as error:
                log.warning("no heartbeat: %s", error.detail)
