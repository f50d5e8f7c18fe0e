"""Instants and time-ordered ids. Instants are aware, UTC, and whole milliseconds, as MongoDB keeps them."""

import os
import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current instant, aware, UTC, cut to milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def prediction_ids(count: int) -> list[str]:
    """Return ``count`` new ids that sort by time and, within one call, by position.

    They are UUID version 7 (RFC 9562): 48 bits of milliseconds, then a random 73-bit number that is drawn
    once a call and counted up, as section 6.2 method 2 of the RFC allows.

    >>> first, second = prediction_ids(2)
    >>> first < second, len(first), first[14]
    (True, 36, '7')
    """
    drawn = int.from_bytes(os.urandom(10))
    digits = f"{time.time_ns() // 1_000_000:012x}7{drawn >> 68:03x}{drawn >> 48 & 0x3FFF | 0x8000:04x}"
    head = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:]}-"
    # One bit of headroom, so that counting up stays within the last 48 bits.
    start = drawn & 0x7FFF_FFFF_FFFF
    return [f"{head}{number:012x}" for number in range(start, start + count)]
