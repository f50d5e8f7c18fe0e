"""Counts the requests of each caller against ``RATE_LIMIT``; the library limits is loaded where it is set."""

import logging
import time
from typing import TYPE_CHECKING

from utils.errors import SettingsError
from utils.settings import Settings

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.storage import Storage

log = logging.getLogger(__name__)

# How long requests are let through uncounted once the store did not answer.
REST_S = 5.0


class Limits:
    """Sliding windows, one for each caller and limit.

    Raises
    ------
    SettingsError
        If RATE_LIMIT cannot be read.
    """

    def __init__(self, text: str, storage: "Storage") -> None:
        from limits.strategies import SlidingWindowCounterRateLimiter

        self._items = parsed(text)
        self._strategy = SlidingWindowCounterRateLimiter(storage)
        self._resting_until = 0.0

    @classmethod
    def build(cls, settings: Settings) -> "Limits | None":
        """Return the limits as set, None where none is."""
        if settings.rate_limit is None:
            return None
        return cls(settings.rate_limit, _storage(settings))

    def spend(self, caller: str) -> float | None:
        """Count one request; return None if it is within all limits, else the time when to try again."""
        from limits.errors import StorageError

        if time.monotonic() < self._resting_until:
            return None
        try:
            return self._spend(caller)
        except StorageError as error:
            log.warning("requests are not counted for %s s: %s", REST_S, str(error)[:200])
            self._resting_until = time.monotonic() + REST_S
            return None

    def _spend(self, caller: str) -> float | None:
        for item in self._items:
            if not self._strategy.hit(item, caller):
                return float(self._strategy.get_window_stats(item, caller).reset_time)
        return None


def parsed(text: str) -> "list[RateLimitItem]":
    """Return the limits that ``text`` lists. Raises SettingsError."""
    from limits import parse_many

    try:
        return parse_many(text)
    except ValueError:
        raise SettingsError(f"RATE_LIMIT: {text!r} is not of the form '600/minute; 20/second'.") from None


def _storage(settings: Settings) -> "Storage":
    if settings.rate_limit_storage == "memory":
        from mlops.limits_memory import SweptStorage

        return SweptStorage()
    from utils.mongo import rates

    if settings.mongo_uri is None:
        raise SettingsError("RATE_LIMIT_STORAGE: mongodb needs MONGO_URI.")
    return rates.storage(settings.mongo_uri, settings.mongo_db)
