"""Keeps the ledger of the log: what one process knows of its spools, together with what others wrote down.

It may be late, by a full disk or a lock, but it stops nobody: what could not be written is written next time.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from utils.spool import Ledger, LogCounts

log = logging.getLogger(__name__)

NOTHING = LogCounts(0, 0, 0)


class Books:
    """Counts of all spools in a folder.

    Parameters
    ----------
    folder : Path
        Where the spools are.
    held : callable
        Returns by id the counts of those that this process holds, each of one moment.
    """

    def __init__(self, folder: Path, held: Callable[[], Mapping[str, LogCounts]]) -> None:
        self._ledger = Ledger(folder)
        self._held = held
        self._closed: dict[str, LogCounts] = {}
        self._noted: dict[str, LogCounts] = {}
        self._of_others = NOTHING
        self._is_away = False
        self._lock = threading.Lock()

    def total(self) -> LogCounts:
        """Return the sums over all spools: of this process as of now, of others as they last wrote them."""
        with self._lock:
            own = self._own()
            self._attempt(partial(self._read_others, own))
            total = self._of_others
            for counts in own.values():
                total = total.plus(counts)
            return total

    def publish(self) -> None:
        """Write down what changed, for the others."""
        with self._lock:
            own = self._own()
            news = {spool: counts for spool, counts in own.items() if self._noted.get(spool) != counts}
            if news and self._attempt(partial(self._ledger.note, news)):
                self._noted = own
            for spool, counts in list(self._closed.items()):
                if self._attempt(partial(self._ledger.settle, spool, counts)):
                    del self._closed[spool]

    def retire(self, spool: str, counts: LogCounts) -> None:
        """Take the last counts of a spool that is empty; call it before ``held`` misses it."""
        self._closed[spool] = counts

    def note_set_aside(self, spool: str, seq: int, n_rows: int) -> None:
        """Write down that rows of a spool from ``seq`` on are kept elsewhere; again, it changes nothing."""
        self._attempt(partial(self._ledger.note_set_aside, spool, seq, n_rows))

    def n_set_aside(self, spool: str) -> int:
        """Return how many rows of a spool are kept elsewhere, as far as that can be told now."""
        found = [0]
        self._attempt(lambda: found.append(self._ledger.n_set_aside(spool)))
        return found[-1]

    def close(self) -> None:
        """Close the file of the ledger."""
        self._ledger.close()

    def _own(self) -> dict[str, LogCounts]:
        # In this order: a spool that is retired just now is in both, and never in neither.
        return dict(self._held()) | self._closed

    def _read_others(self, own: Mapping[str, LogCounts]) -> None:
        self._of_others = self._ledger.without(own)

    def _attempt(self, action: Callable[[], object]) -> bool:
        """Read or write the ledger; return whether that went well."""
        try:
            action()
        except (sqlite3.Error, OSError) as error:
            if not self._is_away:
                log.warning("The counts of the log cannot be kept now: %s", error)
            self._is_away = True
        else:
            self._is_away = False
        return not self._is_away
