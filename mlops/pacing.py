"""Keeps answering in step with storing: whoever answers waits a little while the spool grows for long.

With MongoDB as fast as the answers nobody ever waits. While it is away nobody waits either: then the spool is
there to grow, up to its limit. Only where answers come faster than MongoDB takes them do their threads step
back, for a moment each, and leave the processors to the shipper; the queue in front of them then fills, and
more is refused (MAX_PENDING) instead of promised.
"""

import math
import threading
import time
from collections.abc import Callable

# So many rows behind are a burst; a single request may bring that many.
BURST_ROWS = 50_000
# How long one answer waits at most.
HOLD_S = 0.25
# Storing has stalled if nothing was stored for so long, and waiting for it is no use.
STALL_S = 0.5


class Pace:
    """Shared by the threads that answer, which ``keep`` it, and the shipper, which sets it.

    Parameters
    ----------
    backlog : callable
        Returns how many rows are answered and not stored.
    burst_rows : int
        By how many rows the backlog may grow above its lowest point before answers are held back.
    """

    def __init__(self, backlog: Callable[[], int], *, burst_rows: int = BURST_ROWS) -> None:
        self._backlog = backlog
        self._burst_rows = burst_rows
        self._limit: float = burst_rows
        self._moved_at = 0.0
        self._moved = threading.Condition()

    def keep(self) -> None:
        """Wait, for a moment at most, while storing is under way and falls behind."""
        if self._is_kept():
            return
        with self._moved:
            self._moved.wait_for(self._is_kept, HOLD_S)

    def advance(self) -> None:
        """Say that a batch was stored; what an outage left is worked off without holding anybody back."""
        self._moved_at = time.monotonic()
        self._limit = max(self._burst_rows, min(self._limit, self._backlog() + self._burst_rows))
        with self._moved:
            self._moved.notify_all()

    def release(self) -> None:
        """Say that nothing can be stored at present."""
        self._limit = math.inf
        with self._moved:
            self._moved.notify_all()

    def _is_kept(self) -> bool:
        return self._backlog() <= self._limit or time.monotonic() - self._moved_at > STALL_S
