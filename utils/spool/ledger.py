"""What all spools of a folder were given and got rid of, written down where every process can read it.

One small SQLite file beside the spools. Each process writes the rows of the spools that it holds, from what
these spools say of themselves, so that writing again changes nothing; what a killed process had not written
yet is found out by whoever takes its spool over. Stays away from the way of the answers: it is written by the
thread that counts, once a second.
"""

import logging
import sqlite3
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from utils.sqlite import open_shared

log = logging.getLogger(__name__)

FILE = "ledger.db"
# The row of all spools that are closed and empty.
SETTLED = "settled"
DAMAGE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counts
  (spool TEXT PRIMARY KEY, answered INTEGER NOT NULL, stored INTEGER NOT NULL, spooled INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS set_aside
  (spool TEXT, seq INTEGER, n_rows INTEGER NOT NULL, PRIMARY KEY (spool, seq));
"""
# Neither count ever falls: a damaged file makes a spool forget, but not the ledger.
_NOTE = """
INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT (spool) DO UPDATE SET
  answered = max(answered, excluded.answered),
  stored = max(stored, excluded.stored),
  spooled = excluded.spooled
"""
_SUMS = "SELECT coalesce(sum(answered), 0), coalesce(sum(stored), 0), coalesce(sum(spooled), 0) FROM counts"
_SETTLE = """
INSERT INTO counts SELECT ?, answered, stored, spooled FROM counts AS gone WHERE gone.spool = ?
  ON CONFLICT (spool) DO UPDATE SET
  answered = answered + excluded.answered,
  stored = stored + excluded.stored,
  spooled = spooled + excluded.spooled
"""


class LogCounts(NamedTuple):
    """Rows of predictions: how many were answered, are stored in MongoDB, and wait in spools.

    >>> LogCounts(answered=5, stored=3, spooled=2).difference
    0
    """

    answered: int
    stored: int
    spooled: int

    @property
    def difference(self) -> int:
        """Rows that are neither stored nor waiting: MongoDB refuses them, or a damaged disk hides them."""
        return self.answered - self.stored - self.spooled

    def plus(self, other: "LogCounts") -> "LogCounts":
        """Return the sums of both."""
        return LogCounts(*(one + another for one, another in zip(self, other, strict=True)))


class Ledger:
    """The counts of all spools in ``folder``; any thread may use it.

    Every method raises ``sqlite3.Error`` where the file cannot be used, a full disk for example; what was not
    written is written the next time.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def note(self, counts: Mapping[str, LogCounts]) -> None:
        """Write down what is true of some spools now."""
        with self._lock, self._connected() as connection:
            connection.executemany(_NOTE, [(spool, *found) for spool, found in counts.items()])

    def note_set_aside(self, spool: str, seq: int, n_rows: int) -> None:
        """Write down that rows from ``seq`` on were kept elsewhere; a second time changes nothing."""
        with self._lock, self._connected() as connection:
            connection.execute("INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?)", (spool, seq, n_rows))

    def n_set_aside(self, spool: str) -> int:
        """Return how many rows of a spool were kept elsewhere."""
        query = "SELECT coalesce(sum(n_rows), 0) FROM set_aside WHERE spool = ?"
        with self._lock, self._connected() as connection:
            return int(connection.execute(query, (spool,)).fetchone()[0])

    def settle(self, spool: str, counts: LogCounts) -> None:
        """Add the last counts of a spool that is empty and removed to those of all such."""
        with self._lock, self._connected() as connection:
            connection.execute(_NOTE, (spool, *counts))
            connection.execute(_SETTLE, (SETTLED, spool))
            connection.execute("DELETE FROM counts WHERE spool = ?", (spool,))
            connection.execute("DELETE FROM set_aside WHERE spool = ?", (spool,))

    def without(self, spools: Collection[str]) -> LogCounts:
        """Return the sums over all spools but these."""
        places = ",".join("?" * len(spools))
        with self._lock, self._connected() as connection:
            query = f"{_SUMS} WHERE spool NOT IN ({places})"
            return LogCounts(*connection.execute(query, tuple(spools)).fetchone())

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        """Open the file; one that is none is thrown away, as the counts begin again better than never."""
        try:
            return open_shared(self._path, _SCHEMA)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) not in (
                sqlite3.SQLITE_NOTADB,
                sqlite3.SQLITE_CORRUPT,
            ):
                raise
        log.error("Damaged on disk: %s. The counts of the log begin again.", self._path)
        for path in (self._path, *self._path.parent.glob(f"{FILE}-*")):
            path.unlink(missing_ok=True)
        return open_shared(self._path, _SCHEMA)
