"""The two facts about SQLite's file format that a segment needs (https://sqlite.org/fileformat2.html).

A new segment is a copy of a ready-made empty database, which costs a fifth of creating one by SQL; and after
a crash, the write-ahead log (WAL) is searched for records that SQLite cannot reach any more.
"""

import os
import sqlite3
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

# Small pages: an append of one row rewrites its page, so each byte of a page costs at each append.
PAGE_BYTES = 1024
FRAME_HEADER_BYTES = 24
FRAME_BYTES = PAGE_BYTES + FRAME_HEADER_BYTES
WAL_HEADER_BYTES = 32

_SCHEMA = """
CREATE TABLE entries (seq INTEGER PRIMARY KEY, rows INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE ledger (shipped INTEGER NOT NULL);
INSERT INTO ledger VALUES (0);
"""
_WAL_MODE = slice(18, 20)  # bytes "file format write version" and "read version": 2 is WAL


@cache
def empty_database() -> bytes:
    """Return the bytes of a database in WAL mode with the tables of a segment and nothing in them."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.executescript(_SCHEMA)
    image = bytearray(connection.serialize())
    connection.close()
    image[_WAL_MODE] = b"\2\2"
    return bytes(image)


def n_unreachable_commits(wal: Path, n_frames: int) -> int:
    """Return how many whole commits stand in ``wal`` behind its first ``n_frames`` good frames.

    SQLite reads up to the first damaged frame. A record that a crash cut short has no whole commit behind
    it and was never answered; a commit further on was answered, and the damage before it hides it.
    """
    if not wal.exists():
        return 0
    with wal.open("rb") as file:
        head = file.read(WAL_HEADER_BYTES + FRAME_HEADER_BYTES)
        # The head of the log may be what is damaged; its first frame has the same salts.
        salts = {head[16:24], head[WAL_HEADER_BYTES:][8:16]}
        return sum(_is_commit(header, salts) for header in _whole_frames(file, n_frames))


def _whole_frames(wal: BinaryIO, first: int) -> Iterator[bytes]:
    size = os.fstat(wal.fileno()).st_size
    for start in range(WAL_HEADER_BYTES + first * FRAME_BYTES, size - FRAME_BYTES + 1, FRAME_BYTES):
        wal.seek(start)
        yield wal.read(FRAME_HEADER_BYTES)


def _is_commit(header: bytes, salts: set[bytes]) -> bool:
    _, pages_after_commit = struct.unpack(">II", header[:8])
    return pages_after_commit > 0 and header[8:16] in salts


def estimated_bytes(payload: bytes) -> int:
    """Return how much an append of ``payload`` adds to the log at most: its own pages and three more."""
    return (len(payload) // PAGE_BYTES + 3) * FRAME_BYTES
