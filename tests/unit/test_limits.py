"""Counting requests in memory: right, and without a thread a request."""

import threading

from mlops.limits import Limits
from mlops.limits_memory import SweptStorage


def test_each_caller_has_the_limit_of_its_own():
    limits = Limits("2/hour", SweptStorage())

    found = [limits.spend(caller) is None for caller in ("ada", "ada", "ada", "bob")]

    assert found == [True, True, False, True]


def test_counting_starts_no_threads():
    storage = SweptStorage()
    storage.timer.join()  # the library's own first one
    before = threading.active_count()
    limits = Limits("1000/second", storage)
    for number in range(100):
        limits.spend(str(number % 7))

    assert threading.active_count() == before


def test_callers_that_are_gone_are_forgotten():
    storage = SweptStorage()
    storage.incr("ada", expiry=-1)
    storage._sweep_at = 0.0
    storage.incr("bob", expiry=60)

    assert set(storage.expirations) == {"bob"}
