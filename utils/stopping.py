"""How a process learns that it should end.

``threading.Event`` will not do: it has a lock, and a signal that comes while the main thread holds it, as in
``wait`` or in the handler of the signal before, waits for it for ever.
"""

import os
import select
import signal
from typing import Protocol


class Stop(Protocol):
    """What ``threading.Event`` and ``StopSignal`` have in common."""

    def is_set(self) -> bool:
        """Return whether to end."""

    def wait(self, timeout: float | None = None, /) -> bool:
        """Wait for it, for ``timeout`` seconds at most; return whether to end."""


class StopSignal:
    """Is set by SIGINT and SIGTERM; make it in the main thread. Any number of threads may wait."""

    def __init__(self) -> None:
        self._is_set = False
        # Never read, so once written to it can be read for ever, and all who wait go on.
        self._reader, self._writer = os.pipe()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._set())

    def _set(self) -> None:
        if not self._is_set:
            self._is_set = True
            os.write(self._writer, b"!")

    def is_set(self) -> bool:
        """Return whether a signal has come."""
        return self._is_set

    def wait(self, timeout: float | None = None, /) -> bool:
        """Wait for a signal, for ``timeout`` seconds at most; return whether one has come."""
        if not self._is_set:
            select.select([self._reader], [], [], timeout)
        return self._is_set
