"""Prediction ids are UUIDs of version 7: they sort by time and by row."""

import uuid
from datetime import UTC

from utils import time as times


def test_ids_are_uuids_of_version_7():
    (text,) = times.prediction_ids(1)

    assert str(uuid.UUID(text)) == text
    assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (7, uuid.RFC_4122)


def test_ids_sort_by_row_and_by_time(monkeypatch):
    first = times.prediction_ids(1_000)
    monkeypatch.setattr(times.time, "time_ns", lambda: 2**60 * 2)
    later = times.prediction_ids(10)

    assert sorted(first + later) == first + later
    assert len(set(first + later)) == 1_010


def test_now_is_utc_in_whole_milliseconds():
    moment = times.now()

    assert moment.tzinfo is UTC
    assert moment.microsecond % 1_000 == 0
