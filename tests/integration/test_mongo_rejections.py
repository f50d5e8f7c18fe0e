"""Refused rows on a real MongoDB."""

from datetime import timedelta

import pytest

from mlops.rejections import Rejections
from utils.errors import Fault, UnavailableError
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


class LosesAnswers:
    """A store whose first answer never comes back though the rows are there."""

    def __init__(self, store):
        self.store, self.n_calls = store, 0

    def add(self, *batch):
        self.store.add(*batch)
        self.n_calls += 1
        if self.n_calls == 1:
            raise UnavailableError("no answer")


def test_refusals_whose_answer_was_lost_are_counted_once(store):
    waiting = Rejections(lambda: lossy)
    lossy = LosesAnswers(store)
    waiting.note("songs", [Fault("#/0/tempo", "missing", "")])
    with pytest.raises(UnavailableError):
        waiting.store()
    waiting.note("songs", [Fault("#/0/tempo", "missing", "")])

    for _ in range(2):
        waiting.store()

    assert store.counts("songs", START, now() + timedelta(hours=1)) == {"missing tempo": 2}
