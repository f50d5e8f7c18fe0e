"""Delivers items in the background: a bounded queue, one thread, retries with back-off, and honest counts.

Knows nothing of what it delivers; a ``Carrier`` does the carrying. Whoever puts an item never waits for one.
A courier belongs to the process that made it: make it after a fork.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, Protocol, TypedDict, TypeVar

from mlops.tracking.redaction import redacted
from utils.time import now

logger = logging.getLogger(__name__)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

Outcome = Literal["sent", "failed", "dropped"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one receiver may cost.

    ``n_queued`` items wait at most; one call may take ``call_s``; an item is given up after ``n_attempts``;
    between attempts the pause doubles from ``backoff_s`` up to ``backoff_cap_s``; after ``idle_s`` without
    work the carrier may let go of what it holds.
    """

    n_queued: int = 1_000
    call_s: float = 30.0
    n_attempts: int = 10
    backoff_s: float = 1.0
    backoff_cap_s: float = 300.0
    idle_s: float = 120.0


class Carrier(Protocol[T_contra]):
    """Takes one item to its receiver; called by the courier's thread, except ``kill``."""

    def carry(self, item: T_contra, timeout_s: float) -> None:
        """Deliver or raise; ``TimeoutError`` counts as a timeout."""

    def rest(self) -> None:
        """Nothing to do for a while: let go of what costs memory."""

    def close(self, timeout_s: float) -> None:
        """Let go for good within ``timeout_s``."""

    def kill(self) -> None:
        """Called by another thread: end a delivery that takes too long, and start no other."""


class CourierStatus(TypedDict):
    """What a page or a metric shows of one courier; ``state`` is idle, sending, retrying or closed."""

    state: str
    queued: int
    sent: int
    failed: int
    dropped: int
    retries: int
    timeouts: int
    last_error: str | None
    last_error_at: datetime | None


class Courier(Generic[T]):
    """One receiver's queue and the thread that empties it.

    Parameters
    ----------
    name : str
        Shown in the status and in logs.
    carrier : Carrier
        Does the carrying.
    limits : Limits
        Bounds.
    secrets : sequence of str
        Removed from every error before it is kept or logged.
    """

    def __init__(
        self, name: str, carrier: Carrier[T], limits: Limits | None = None, secrets: Sequence[str] = ()
    ) -> None:
        self.name, self._carrier = name, carrier
        self._limits, self._secrets = limits or Limits(), tuple(secrets)
        self._queue: deque[T] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._deadline: float | None = None
        self._n_failures_in_row = 0
        self._is_dropping = False
        self._status = CourierStatus(
            state="idle", queued=0, sent=0, failed=0, dropped=0, retries=0, timeouts=0,
            last_error=None, last_error_at=None,
        )  # fmt: skip

    def put(self, item: T) -> None:
        """Queue an item, or count it as dropped where the queue is full or closed. Does not wait."""
        with self._changed:
            is_refused = self._deadline is not None or len(self._queue) >= self._limits.n_queued
            is_first = is_refused and not self._is_dropping
            self._is_dropping = is_refused
            if is_refused:
                self._status["dropped"] += 1
            else:
                self._queue.append(item)
                self._start()
                self._changed.notify_all()
        if is_first:
            logger.warning("%s: the queue is full or closed, new items are dropped", self.name)

    def status(self) -> CourierStatus:
        """Return counts and the last error, without secrets."""
        with self._changed:
            status = self._status.copy()
            status["queued"] = len(self._queue)
            if status["state"] != "closed":
                status["state"] = self._state()
        return status

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is queued or under way, at most ``timeout_s``; say whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Take nothing new, deliver what is queued, and give up after ``timeout_s``. Returns at once."""
        with self._changed:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout_s
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the end that ``stop`` has set; a delivery that takes longer is killed."""
        if self._thread is not None and self._deadline is not None:
            self._thread.join(max(0.0, self._deadline - time.monotonic()))
        self._carrier.kill()
        if self._thread is not None:
            self._thread.join(1.0)
        with self._changed:
            self._abandon()
            self._status["state"] = "closed"

    def _state(self) -> str:
        if self._n_failures_in_row:
            return "retrying"
        return "sending" if self._queue else "idle"

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"courier-{self.name}", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            outcome = self._deliver(item)
            self._settle(item, outcome)
        self._carrier.close(self._time_left(self._limits.call_s))

    def _settle(self, item: T, outcome: Outcome) -> None:
        with self._changed:
            # ``join`` may have counted it as dropped in the meantime.
            if self._queue and self._queue[0] is item:
                self._queue.popleft()
                self._status[outcome] += 1
            self._changed.notify_all()

    def _next(self) -> T | None:
        while True:
            with self._changed:
                has_news = self._changed.wait_for(self._has_news, self._limits.idle_s)
                if self._is_late():
                    self._abandon()
                if self._queue:
                    return self._queue[0]
                if self._deadline is not None:
                    return None
            if not has_news:
                self._carrier.rest()

    def _has_news(self) -> bool:
        return bool(self._queue) or self._deadline is not None

    def _deliver(self, item: T) -> Outcome:
        for attempt in range(1, self._limits.n_attempts + 1):
            if self._is_carried(item):
                return "sent"
            if attempt < self._limits.n_attempts and not self._pause():
                return "dropped"
        logger.warning("%s: gave an item up after %d attempts", self.name, self._limits.n_attempts)
        return "failed"

    def _is_carried(self, item: T) -> bool:
        try:
            self._carrier.carry(item, self._time_left(self._limits.call_s))
        except Exception as error:  # noqa: BLE001  a foreign client may raise anything; the queue must go on
            self._note(error)
            return False
        if self._n_failures_in_row:
            logger.info("%s: answers again", self.name)
        self._n_failures_in_row = 0
        return True

    def _note(self, error: Exception) -> None:
        text = redacted(str(error) or type(error).__name__, self._secrets)
        if self._is_late():
            text = "cut off at closing"
        with self._changed:
            self._n_failures_in_row += 1
            self._status["timeouts"] += isinstance(error, TimeoutError)
            self._status["last_error"], self._status["last_error_at"] = text, now()
        # One line when it begins; the counts tell how it goes on.
        level = logging.WARNING if self._n_failures_in_row == 1 else logging.DEBUG
        logger.log(level, "%s: %s", self.name, text)

    def _pause(self) -> bool:
        doubled = self._limits.backoff_s * 2 ** min(self._n_failures_in_row - 1, 30)
        with self._changed:
            self._changed.wait_for(
                lambda: self._deadline is not None, min(doubled, self._limits.backoff_cap_s)
            )
            if self._is_late():
                return False
            self._status["retries"] += 1
        return True

    def _abandon(self) -> None:
        self._status["dropped"] += len(self._queue)
        self._queue.clear()
        self._changed.notify_all()

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _time_left(self, limit_s: float) -> float:
        if self._deadline is None:
            return limit_s
        return max(0.0, min(limit_s, self._deadline - time.monotonic()))
