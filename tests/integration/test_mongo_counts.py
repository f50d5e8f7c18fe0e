"""Cell counts and watermarks on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

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
    return store.commit(
        spool,
        before,
        after,
        [cell],
        lambda _, since: (after - since, {"a.b": counts * (after - since)}),
        joined,
    )


def stored(store):
    parts = store.hours("songs", "1", HOUR, HOUR + timedelta(hours=1))
    return parts[HOUR]["a.b"]


def test_counts_add_up_and_the_watermark_moves(store):
    assert commit(store, -1, 9) == (10, 9)
    assert commit(store, 9, 14, counts=b"y") == (5, 14)

    assert store.watermarks()["s"] == 14
    assert stored(store) == b"x" * 10 + b"y" * 5
    assert [hour["n_rows"] for hour in store.traffic("songs", HOUR, HOUR + timedelta(hours=1))] == [15]


def test_a_counter_that_comes_second_adds_nothing_and_learns_how_far_the_first_is(store):
    commit(store, -1, 9)

    assert commit(store, -1, 9) == (0, 9)
    assert commit(store, -1, 4) == (0, 9)
    assert commit(store, -1, 11, counts=b"y") == (2, 11)
    assert stored(store) == b"x" * 10 + b"yy"


def test_what_a_counter_left_undone_is_all_that_the_next_one_adds(store):
    other = Cell("songs", "1", HOUR + timedelta(hours=1))

    def fail(cell, since):
        if cell == other:
            raise MemoryError
        return 10, {"a.b": b"x" * 10}

    with pytest.raises(MemoryError):
        store.commit("s", -1, 9, [CELL, other], fail, joined)

    assert store.watermarks() == {}
    assert commit(store, -1, 9) == (0, 9)
    assert commit(store, -1, 9, cell=other) == (10, 9)


def test_many_counters_on_one_spool_count_each_row_once(store):
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda after: commit(store, -1, after), [9, 4, 9, 2, 7, 9, 1, 8]))

    assert sum(n_rows for n_rows, _ in done) == 10
    assert stored(store) == b"x" * 10


def test_counters_of_many_spools_add_up_in_one_hour(store):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda spool: commit(store, -1, 9, spool=spool), "abcdefgh"))

    assert stored(store) == b"x" * 80


def test_hours_are_of_one_version_with_the_start_and_not_the_end(store):
    for position, (version, hour) in enumerate([("1", 0), ("1", 1), ("1", 2), ("2", 1)]):
        commit(store, position - 1, position, Cell("songs", version, HOUR + timedelta(hours=hour)))

    found = store.hours("songs", "1", HOUR + timedelta(hours=1), HOUR + timedelta(hours=2))

    assert list(found) == [HOUR + timedelta(hours=1)]
    assert len(store.traffic("songs", HOUR, HOUR + timedelta(hours=3))) == 4
