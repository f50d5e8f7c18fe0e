"""How many connections each worker has, in memory that they share, so that none takes more than its part.

The kernel wakes whichever worker it likes, often the same one for all, and kept connections stay where they
were taken: one worker then does all the work while another idles.
"""

import mmap
import time

SLOTS = 128
STALE_S = 3.0
_BEAT, _COUNT, _WIDTH = 0, 1, 2


class Siblings:
    """Counts of all workers of one master. Make it in the master, before fork."""

    def __init__(self) -> None:
        # Of doubles, each written by one process only and in one piece.
        self._cells = memoryview(mmap.mmap(-1, SLOTS * _WIDTH * 8)).cast("d")
        self._slot = 0

    def join(self, number: int) -> None:
        """Take the slot of worker ``number``; numbers come back only after hundreds of workers."""
        self._slot = number % SLOTS * _WIDTH

    def tell(self, n_connections: int) -> None:
        """Say how many connections this worker has; at least once a second, as a sign of life."""
        self._cells[self._slot + _COUNT] = n_connections
        self._cells[self._slot + _BEAT] = time.monotonic()

    def leave(self) -> None:
        """Take part no more."""
        self._cells[self._slot + _BEAT] = 0.0

    def has_more_than_another(self, n_connections: int) -> bool:
        """Return whether a worker that lives has fewer connections."""
        alive_since = time.monotonic() - STALE_S
        beats, counts = self._cells[_BEAT::_WIDTH], self._cells[_COUNT::_WIDTH]
        return any(
            count < n_connections and beat > alive_since for beat, count in zip(beats, counts, strict=True)
        )
