"""Cell counts and watermarks on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from utils.errors import ConflictError
from utils.mongo import indexes
from utils.mongo.counts import Cell, CountStore
from utils.time import now

HOUR = now().replace(minute=0, second=0, microsecond=0)
CELL = Cell("songs", "1", HOUR)


@pytest.fixture
def store(db):
    indexes.ensure(db, None)
    return CountStore(db)


def joined(_cell, one, other):
    return {name: one[name] + other[name] for name in one}


def commit(store, before, after, cell=CELL, spool="s", counts=b"x"):
    store.commit(spool, before, after, {cell: (after - before, {"a.b": counts})}, joined)


def test_counts_and_the_watermark_move_together(store):
    commit(store, -1, 9)
    commit(store, 9, 14, counts=b"y")

    assert store.watermarks()["s"] == 14
    assert store.hours("songs", "1", HOUR, HOUR + timedelta(hours=1)) == {HOUR: {"a.b": b"xy"}}
    assert [hour["n_rows"] for hour in store.traffic("songs", HOUR, HOUR + timedelta(hours=1))] == [15]


def test_a_counter_that_comes_second_changes_nothing(store):
    commit(store, -1, 9)

    with pytest.raises(ConflictError, match="spool s"):
        commit(store, -1, 9)

    assert store.hours("songs", "1", HOUR, HOUR + timedelta(hours=1)) == {HOUR: {"a.b": b"x"}}


def test_a_counter_that_fails_half_way_changes_nothing(store):
    commit(store, -1, 9)

    def fail(_cell, _one, _other):
        raise MemoryError

    with pytest.raises(MemoryError):
        store.commit("s", 9, 14, {CELL: (5, {"a.b": b"y"})}, fail)

    assert store.watermarks()["s"] == 9
    assert store.hours("songs", "1", HOUR, HOUR + timedelta(hours=1)) == {HOUR: {"a.b": b"x"}}


def test_many_counters_on_one_spool_count_each_row_once(store):
    def count(_):
        try:
            commit(store, -1, 9)
        except ConflictError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        n_done = sum(threads.map(count, range(8)))

    assert n_done == 1
    assert store.hours("songs", "1", HOUR, HOUR + timedelta(hours=1)) == {HOUR: {"a.b": b"x"}}


def test_counters_of_many_spools_add_up_in_one_hour(store):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda spool: commit(store, -1, 9, spool=spool), "abcdefgh"))

    assert store.hours("songs", "1", HOUR, HOUR + timedelta(hours=1)) == {HOUR: {"a.b": b"x" * 8}}


def test_hours_are_of_one_version_with_the_start_and_not_the_end(store):
    for position, (version, hour) in enumerate([("1", 0), ("1", 1), ("1", 2), ("2", 1)]):
        commit(store, position - 1, position, Cell("songs", version, HOUR + timedelta(hours=hour)))

    found = store.hours("songs", "1", HOUR + timedelta(hours=1), HOUR + timedelta(hours=2))

    assert list(found) == [HOUR + timedelta(hours=1)]
    assert len(store.traffic("songs", HOUR, HOUR + timedelta(hours=3))) == 4
