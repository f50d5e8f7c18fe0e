"""Refused rows on a real MongoDB."""

from datetime import timedelta

import pytest

from utils.mongo.rejections import RejectionStore
from utils.time import now

START = now() - timedelta(hours=2)
END = START + timedelta(hours=1)


@pytest.fixture
def store(db):
    return RejectionStore(db)


def test_refused_rows_are_counted_by_reason_in_a_window(store):
    store.add("songs", {"missing:a.b": 3, "type:$x": 1}, {"a.b": None}, START)
    store.add("songs", {"missing:a.b": 4}, {}, END - timedelta(seconds=1))
    store.add("songs", {"missing:a.b": 100}, {}, END)
    store.add("cars", {"missing:a.b": 100}, {}, START)

    assert store.counts("songs", START, END) == {"missing:a.b": 7, "type:$x": 1}


def test_samples_come_newest_first_as_they_were_sent(store):
    for hour, sample in enumerate([{"$gt": ""}, [1, None], "text"]):
        store.add("songs", {"type": 1}, sample, START + timedelta(hours=hour))

    assert [found["sample"] for found in store.last("songs", 2)] == ["text", [1, None]]
