"""Days added up ahead say what their hours say, however the hours change."""

from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest

from mlops.counting import summed
from mlops.days import DAY, HOUR, Days, day_of, total_of
from model.monitoring import ModelReference
from utils.mongo.counts import Cell, CountStore
from utils.mongo.day_counts import DayStore

START = datetime(2026, 3, 2, 5, tzinfo=UTC)
RNG = np.random.default_rng(7)
REFERENCE = ModelReference.fit({"a": RNG.normal(size=2_000)}, {"a": "number"})


class Log:
    """Counted hours of one model, and the days made of them."""

    def __init__(self, db):
        self.store, self.n_commits = CountStore(db), 0
        self.days = Days(self.store, DayStore(db))

    def count(self, hour, n_rows):
        parts = REFERENCE.count({"a": RNG.normal(hour / 50, size=n_rows)}).to_parts()
        self.n_commits += 1
        cell = Cell("m", "1", START + hour * HOUR)
        known = partial(lambda rows, parts, cell, seq: (rows, parts), n_rows, parts)
        add = lambda cell, one, other: summed(REFERENCE, one, other)  # noqa: E731
        self.store.commit(f"s{self.n_commits}", -1, n_rows, [cell], known, add)

    def spans(self, start, end):
        return self.days.spans("m", "1", start, end, self.store.traffic("m", start, end))

    def hourly(self, start, end):
        return sorted(self.store.hours("m", "1", start, end).items())


@pytest.fixture
def log(db):
    log = Log(db)
    for hour in range(0, 96, 3):
        log.count(hour, 20 + hour)
    return log


def counts(spans):
    return total_of(REFERENCE, spans).parts["a"].values.tolist()


def test_a_window_of_days_and_hours_counts_as_its_hours(log):
    end = START + 90 * HOUR
    n_days = log.days.add_up("m", "1", REFERENCE, end)
    found = log.spans(START, end)

    assert n_days == 3
    assert counts(found) == counts(log.hourly(START, end))
    assert (len(found), len(log.hourly(START, end))) == (16, 30)  # two days stand for eight hours each


def test_days_are_added_up_once(log):
    log.days.add_up("m", "1", REFERENCE, START + 90 * HOUR)

    assert log.days.add_up("m", "1", REFERENCE, START + 90 * HOUR) == 0


def test_rows_that_come_late_count_before_their_day_is_added_up_anew(log):
    end = START + 90 * HOUR
    log.days.add_up("m", "1", REFERENCE, end)
    log.count(30, 500)
    before = counts(log.spans(START, end))
    n_days = log.days.add_up("m", "1", REFERENCE, end)

    assert before == counts(log.hourly(START, end)) == counts(log.spans(START, end))
    assert n_days == 1


def test_the_day_under_way_is_left_to_its_hours(log):
    log.days.add_up("m", "1", REFERENCE, START + 2 * DAY)

    assert max(log.days.kept.rows("m", "1", START - DAY, START + 9 * DAY)) == day_of(START + DAY)
