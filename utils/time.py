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

    They are UUID version 7 (RFC 9562): 48 bits of milliseconds, then a random 74-bit number that is drawn
    once a call and counted up, as section 6.2 method 2 of the RFC allows.

    >>> first, second = prediction_ids(2)
    >>> first < second, len(first), first[14]
    (True, 36, '7')
    """
    millis = time.time_ns() // 1_000_000
    # One bit of headroom, so that counting up never carries into the time.
    start = int.from_bytes(os.urandom(10)) >> 7
    return [_uuid7_text(millis, start + position) for position in range(count)]


def _uuid7_text(millis: int, random_74: int) -> str:
    high, low = random_74 >> 62, random_74 & 0x3FFF_FFFF_FFFF_FFFF
    digits = f"{millis << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
