"""Counts of requests in memory: the storage of the library limits, swept by those who ask.

The library starts a thread for each sweep, up to a hundred a second, and each looks at all callers.
"""

import time

from limits.storage import MemoryStorage

SWEEP_S = 1.0


class SweptStorage(MemoryStorage):
    """Forgets what has expired at most once a second, in the thread of the request that finds it due."""

    # Known to the class above before the instance is ready: it counts on a timer from its first line.
    _sweep_at = 0.0

    def _MemoryStorage__schedule_expiry(self) -> None:
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._MemoryStorage__expire_events()  # type: ignore[attr-defined]
