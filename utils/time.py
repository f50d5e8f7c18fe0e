"""Instants and time-ordered ids. Instants are aware, UTC, and whole milliseconds, as MongoDB keeps them."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_MS = 1_000_000
_shift_ns = 0  # how far the time of this process is from that of the world


def now() -> datetime:
    """Return the current instant, aware, UTC, cut to milliseconds."""
    moment = datetime.now(UTC) if not _shift_ns else datetime.fromtimestamp(_now_ns() / 1e9, UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _now_ns() -> int:
    return time.time_ns() + _shift_ns


@contextmanager
def set_to(moment: datetime) -> Iterator[None]:
    """Let this process take ``moment`` for the present, in which time goes on from there.

    Only for histories that are made up, such as the demo's: everything that asks here is led to believe it.
    """
    global _shift_ns
    before = _shift_ns
    _shift_ns = round(moment.timestamp() * 1_000) * _MS - time.time_ns()
    try:
        yield
    finally:
        _shift_ns = before


class Origin:
    """Draws the same ids again: those of the instant ``at`` that ``seed`` stands for.

    >>> at = datetime(2026, 5, 4, tzinfo=UTC)
    >>> Origin(at, b"seed").draw() == Origin(at, b"seed").draw() != Origin(at, b"other").draw()
    True
    """

    def __init__(self, at: datetime, seed: bytes) -> None:
        self._at_ms = round(at.timestamp() * 1_000)
        self._seed = seed
        self._n_drawn = 0

    def draw(self) -> tuple[int, int]:
        """Return milliseconds and 80 bits, other ones at each call."""
        self._n_drawn += 1
        digest = hashlib.sha256(b"%d %s" % (self._n_drawn, self._seed)).digest()
        return self._at_ms, int.from_bytes(digest[:10])


# Set while a request is answered whose ids must be the same whoever answers it.
id_origin: ContextVar[Origin | None] = ContextVar("id_origin", default=None)


def prediction_ids(count: int) -> list[str]:
    """Return ``count`` new ids that sort by time and, within one call, by position.

    They are UUID version 7 (RFC 9562): 48 bits of milliseconds, then a random 73-bit number that is drawn
    once a call and counted up, as section 6.2 method 2 of the RFC allows. Where ``id_origin`` is set, both
    come from there.

    >>> first, second = prediction_ids(2)
    >>> first < second, len(first), first[14]
    (True, 36, '7')
    """
    origin = id_origin.get()
    at_ms, drawn = _drawn() if origin is None else origin.draw()
    digits = f"{at_ms:012x}7{drawn >> 68:03x}{drawn >> 48 & 0x3FFF | 0x8000:04x}"
    head = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:]}-"
    # One bit of headroom, so that counting up stays within the last 48 bits.
    start = drawn & 0x7FFF_FFFF_FFFF
    return [f"{head}{number:012x}" for number in range(start, start + count)]


def _drawn() -> tuple[int, int]:
    return (time.time_ns() + _shift_ns) // _MS, int.from_bytes(os.urandom(10))
