"""One file of a spool: entries in the order of their sequence numbers, and up to where they are shipped.

A segment is appended to until it is sealed. SQLite's write-ahead log is not checkpointed meanwhile: an append
costs one write to the page cache and never a pause, and after a power cut the log is good up to its first
missing byte. A sealed segment is read, shipped, and deleted as a whole.
"""

import logging
import os
import shutil
import sqlite3
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from utils.spool import wal

log = logging.getLogger(__name__)

# Entries up to this size are kept in memory as well, so that in good times shipping reads no file.
MIRROR_BYTES = 4_000_000

_INSERT = "INSERT INTO entries VALUES (?, ?, ?)"
_UNSHIPPED = "SELECT seq, payload, rows FROM entries WHERE seq > ? ORDER BY seq"
_LAST = "SELECT seq + rows - 1 FROM entries ORDER BY seq DESC LIMIT 1"


class Entry(NamedTuple):
    """One append: the number of its first row, what was appended, and how many rows that stands for."""

    seq: int
    payload: bytes
    rows: int


class Segment:
    """Entries from row ``first_seq`` on. One thread at a time may use it.

    Attributes
    ----------
    first_seq, last_seq, shipped : int
        Numbers of the first and the last row that were appended, and of the last one that was shipped.
    size_bytes : int
        Size of its files; while it grows, an upper bound that ``measure`` makes exact.
    """

    def __init__(self, path: Path, first_seq: int, connection: sqlite3.Connection | None) -> None:
        self.path = path
        self.first_seq = first_seq
        self.last_seq = self.shipped = first_seq - 1
        self.size_bytes = _size_on_disk(path)
        self._connection = connection
        self._mirror: deque[Entry] | None = None
        self._mirror_bytes = 0

    @classmethod
    def create(cls, path: Path, first_seq: int, *, fsync: bool) -> "Segment":
        """Make a new, empty segment, to be appended to.

        Raises
        ------
        OSError, sqlite3.Error
            If it cannot be written.
        """
        _write_whole(path, wal.empty_database(), fsync=fsync)
        segment = cls(path, first_seq, _connect(path, "FULL" if fsync else "OFF"))
        segment._mirror = deque()
        return segment

    def recover(self) -> None:
        """Read what another process left, to be shipped.

        Raises
        ------
        sqlite3.Error
            If it cannot be read; the file may still be open then, so set it aside or close it.
        """
        if self.path.stat().st_size < len(wal.empty_database()):
            # SQLite would take it for new, and delete the log beside it.
            raise sqlite3.DatabaseError(f"{self.path.name} is cut short")
        connection = self._connected()
        [[shipped]] = connection.execute("SELECT shipped FROM ledger").fetchall()
        self.shipped = max(shipped, self.shipped)
        [[self.last_seq]] = connection.execute(_LAST).fetchall() or [[self.last_seq]]
        _keep_unreachable(connection, self.path)
        self.compact()

    @property
    def pending(self) -> int:
        """Number of rows that are not shipped yet."""
        return self.last_seq - self.shipped

    def add(self, entries: Sequence[Entry]) -> None:
        """Append all of ``entries`` durably, or none.

        Raises
        ------
        sqlite3.Error
            If they cannot be written; ``SQLITE_FULL`` where the disk is full.
        """
        connection = self._connected()
        if len(entries) == 1:
            connection.execute(_INSERT, _columns(entries[0]))
        else:
            _insert_together(connection, entries)
        for entry in entries:
            self._count(entry)

    def read(self, max_rows: int) -> list[Entry]:
        """Return the next entries that are not shipped: at least one, and no more than ``max_rows`` rows.

        Raises
        ------
        sqlite3.DatabaseError
            If the file is damaged.
        """
        unshipped = self._stored() if self._mirror is None else self._mirror
        return list(_first_rows(unshipped, max_rows))

    def forget(self, last_seq: int) -> None:
        """Note that everything up to row ``last_seq`` is shipped, so that it is not read again."""
        self.shipped = min(last_seq, self.last_seq)
        while self._mirror and self._mirror[0].seq <= self.shipped:
            self._mirror.popleft()
        try:
            self._connected().execute("UPDATE ledger SET shipped = ?", (self.shipped,))
        except sqlite3.Error:
            # A full disk, say: only after a crash would it be sent again, and MongoDB has it by its id then.
            log.warning("Cannot note in %s what is shipped.", self.path.name, exc_info=True)

    def measure(self) -> None:
        """Set ``size_bytes`` to what the files take."""
        self.size_bytes = _size_on_disk(self.path)

    def compact(self) -> None:
        """Close the file and shrink it to its content, synced; ``read`` opens it again."""
        self._mirror = None
        self._close("NORMAL")
        self.measure()

    def delete(self) -> None:
        """Remove the files."""
        for path in _files(self.path):
            path.unlink(missing_ok=True)
        self._close("OFF")

    def set_aside(self) -> Path:
        """Rename the files so that nobody ships them, and return the new path of the first."""
        target = self.path.with_name(f"{self.path.name}.corrupt")
        for path, aside in zip(_files(self.path), _files(target), strict=True):
            if path.exists():
                path.rename(aside)
        self._close("OFF")
        return target

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self.path, "NORMAL")
        return self._connection

    def _close(self, synchronous: str) -> None:
        """Close the connection, which moves SQLite's log into the database file."""
        if self._connection is None:
            return
        with suppress(sqlite3.Error):  # damaged; closing works all the same
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.close()
        self._connection = None

    def _count(self, entry: Entry) -> None:
        self.last_seq = entry.seq + entry.rows - 1
        self.size_bytes += wal.estimated_bytes(entry.payload)
        self._mirror_bytes += len(entry.payload)
        if self._mirror_bytes > MIRROR_BYTES:
            self._mirror = None
        elif self._mirror is not None:
            self._mirror.append(entry)

    def _stored(self) -> Iterator[Entry]:
        with closing(self._connected().execute(_UNSHIPPED, (self.shipped,))) as cursor:
            yield from map(Entry._make, cursor)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is to blame, and not the moment (no memory, no handles, disk full)."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_ERROR}


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # Alone with the file, SQLite needs neither locks nor shared memory for each statement.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA cache_size = -256")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _insert_together(connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    connection.execute("BEGIN")
    try:
        connection.executemany(_INSERT, map(_columns, entries))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _columns(entry: Entry) -> tuple[int, int, bytes]:
    return entry.seq, entry.rows, entry.payload


def _first_rows(entries: Iterable[Entry], max_rows: int) -> Iterator[Entry]:
    rows = 0
    for entry in entries:
        if rows and rows + entry.rows > max_rows:
            return
        rows += entry.rows
        yield entry


def _keep_unreachable(connection: sqlite3.Connection, path: Path) -> None:
    """Copy the log aside if there are answered records in it behind a damaged one."""
    log_path = _files(path)[1]
    n_commits = wal.n_unreachable_commits(log_path, _n_good_frames(connection))
    if n_commits:
        aside = shutil.copyfile(log_path, f"{log_path}.corrupt")
        log.error("Damaged on disk: %d records of the spool cannot be read, kept in %s.", n_commits, aside)


def _n_good_frames(connection: sqlite3.Connection) -> int:
    try:
        [[_, n_frames, _]] = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.OperationalError:
        # A full disk: what is good can be shipped all the same, which makes room.
        return sys.maxsize // wal.FRAME_BYTES
    return max(int(n_frames), 0)


def _write_whole(path: Path, content: bytes, *, fsync: bool) -> None:
    """Write a file that has either all of its content or another name."""
    unfinished = path.with_name(f"{path.name}.new")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        if fsync:
            os.fsync(file.fileno())
    unfinished.rename(path)
    if fsync:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _files(path: Path) -> tuple[Path, Path, Path]:
    # In the order of removal: what is left of a removal that was cut short is a log, which is nothing alone.
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")


def _size_on_disk(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path) if file.exists())
