"""Who does something that must be done once: claims on ids, kept in a file that all processes here share.

A claim holds what the work was for (a fingerprint), when it was first begun, and at its end the outcome. Who
claims again sees the first. A claim without an outcome may be taken over after its lease, as its owner may
have been killed. ``utils.mongo.claims`` keeps the same for many machines.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from utils.errors import UnavailableError
from utils.sqlite import open_shared

KEPT_S = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS claims (id TEXT PRIMARY KEY, owner TEXT NOT NULL, fingerprint BLOB NOT NULL,
  at INTEGER NOT NULL, leased_until INTEGER NOT NULL, is_done INTEGER NOT NULL DEFAULT 0, outcome BLOB);
CREATE INDEX IF NOT EXISTS by_age ON claims (at);
"""
# Some at a time, as requests wait meanwhile: each claim makes room for more than one.
_FORGET = "DELETE FROM claims WHERE id IN (SELECT id FROM claims WHERE at <= ? ORDER BY at LIMIT 100)"
_INSERT = "INSERT OR IGNORE INTO claims (id, owner, fingerprint, at, leased_until) VALUES (?, ?, ?, ?, ?)"
_TAKE_OVER = """
UPDATE claims SET owner = ?, leased_until = ?
  WHERE id = ? AND fingerprint = ? AND NOT is_done AND leased_until <= ?
"""
_FIND = "SELECT owner, fingerprint, at, is_done, outcome FROM claims WHERE id = ?"


class Claim(NamedTuple):
    """What is known of one id after somebody claimed it.

    Attributes
    ----------
    owner : str
        Who does it, or did it.
    fingerprint : bytes
        What it was claimed for.
    at : datetime
        When it was first claimed.
    is_done : bool
        Whether it was finished.
    outcome : bytes or None
        What came out, if that is kept here.
    """

    owner: str
    fingerprint: bytes
    at: datetime
    is_done: bool
    outcome: bytes | None


class ClaimFile:
    """Claims in a SQLite file, for a day each; any thread may use it.

    Every method raises UnavailableError where the file cannot be used, a full disk for example.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def claim(self, name: str, owner: str, fingerprint: bytes, lease_s: float) -> Claim:
        """Claim ``name`` if it is free or its lease has ended, and return who has it now."""
        now_ms = time.time_ns() // 1_000_000
        leased_until = now_ms + round(lease_s * 1_000)
        with self._transaction() as connection:
            connection.execute(_FORGET, (now_ms - KEPT_S * 1_000,))
            connection.execute(_INSERT, (name, owner, fingerprint, now_ms, leased_until))
            connection.execute(_TAKE_OVER, (owner, leased_until, name, fingerprint, now_ms))
            holder, wanted, at_ms, is_done, outcome = connection.execute(_FIND, (name,)).fetchone()
        return Claim(holder, wanted, datetime.fromtimestamp(at_ms / 1_000, UTC), bool(is_done), outcome)

    def finish(self, name: str, owner: str, outcome: bytes | None) -> None:
        """Note that ``owner`` is done, with what came out where that is to be kept here."""
        with self._transaction() as connection:
            change = "UPDATE claims SET is_done = 1, outcome = ? WHERE id = ? AND owner = ?"
            connection.execute(change, (outcome, name, owner))

    def release(self, name: str, owner: str) -> None:
        """Give up a claim of ``owner`` that came to nothing, so that the next one starts anew."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM claims WHERE id = ? AND owner = ? AND NOT is_done", (name, owner))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection = self._connection or _opened(self._path)
                self._connection.execute("BEGIN IMMEDIATE")
                with self._connection:  # commits, or rolls back
                    yield self._connection
            except (sqlite3.Error, OSError) as error:
                raise UnavailableError(f"Idempotency keys cannot be kept now: {error}.") from error


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = open_shared(path, _SCHEMA)
    connection.isolation_level = None  # transactions begin where this module says so
    path.chmod(0o600)
    return connection
