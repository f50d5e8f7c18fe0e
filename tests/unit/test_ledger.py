"""The ledger beside the spools: what all processes of a machine answered, stored and still hold."""

import logging

import pytest

from mlops.bookkeeping import Books
from utils.spool import Ledger, LogCounts
from utils.spool.ledger import FILE


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


@pytest.fixture
def keep(tmp_path):
    """Make the books of a process that holds some spools; they are closed after the test."""
    kept = []

    def make(**held):
        kept.append(Books(tmp_path, lambda: held))
        return kept[-1]

    yield make
    for books in kept:
        books.close()


def test_the_sums_of_all_spools_are_those_of_their_last_notes(ledger):
    ledger.note({"a": LogCounts(5, 3, 2), "b": LogCounts(1, 1, 0)})
    ledger.note({"a": LogCounts(9, 8, 1)})

    assert ledger.without([]) == (10, 9, 1)
    assert ledger.without(["a"]) == (1, 1, 0)


def test_what_was_counted_once_is_not_forgotten_with_a_damaged_spool(ledger):
    ledger.note({"a": LogCounts(100, 60, 40)})
    ledger.note({"a": LogCounts(60, 60, 0)})

    assert ledger.without([]) == (100, 60, 0)
    assert ledger.without([]).difference == 40


def test_a_spool_that_is_settled_counts_on_and_takes_no_place(ledger):
    for name in ("a", "b", "c"):
        ledger.note({name: LogCounts(4, 3, 1)})
        ledger.settle(name, LogCounts(7, 7, 0))

    assert ledger.without([]) == (21, 21, 0)
    assert ledger.without(["settled"]) == (0, 0, 0)


def test_rows_that_are_set_aside_twice_count_once(ledger):
    for _ in range(2):
        ledger.note_set_aside("a", 3, 2)
        ledger.note_set_aside("a", 9, 1)

    assert (ledger.n_set_aside("a"), ledger.n_set_aside("b")) == (3, 0)


def test_a_file_that_is_no_ledger_is_replaced_and_told(tmp_path, keep, caplog):
    (tmp_path / FILE).write_bytes(b"garbage " * 1000)
    keep(a=LogCounts(2, 2, 0)).publish()

    assert keep().total() == (2, 2, 0)
    assert "Damaged" in caplog.text


def test_each_process_tells_the_counts_of_all(keep):
    one, other = keep(a=LogCounts(5, 4, 1)), keep(b=LogCounts(2, 2, 0))
    one.publish()
    other.publish()

    assert one.total() == other.total() == keep().total() == (7, 6, 1)


def test_what_could_not_be_written_is_written_later(tmp_path, keep, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / FILE).mkdir()
    books = keep(a=LogCounts(5, 4, 1))
    books.retire("gone", LogCounts(3, 3, 0))
    for _ in range(3):
        books.publish()
    while_away = books.total()
    (tmp_path / FILE).rmdir()
    books.publish()

    assert while_away == books.total() == keep().total() == (8, 7, 1)
    assert caplog.text.count("cannot be kept") == 1
