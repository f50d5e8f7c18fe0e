"""The local queue: what goes in comes out once and in order, within its bounds, from any thread."""

import sqlite3
import threading

import pytest

from utils.errors import SpoolFullError
from utils.spool import Entry, Spool, adopt_orphans, queue, segment

ROOMY = 100_000_000


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def spool(folder):
    spool = Spool.open(folder, max_bytes=ROOMY)
    yield spool
    spool.close()


def fill(spool, n, size=400):
    for number in range(n):
        spool.append(number.to_bytes(4) * (size // 4), 1)


def shipped(spool, max_rows=1000):
    """All entries of the spool, shipped batch by batch."""
    entries = []
    while batch := spool.peek(max_rows):
        entries += batch
        spool.forget(batch[-1].seq + batch[-1].rows - 1)
    return entries


def adopted(folder):
    [spool] = adopt_orphans(folder)
    return spool


def test_entries_come_out_in_the_order_they_went_in(spool):
    assert [spool.append(b"a", 1), spool.append(b"b", 10), spool.append(b"c", 1)] == [1, 2, 12]

    assert spool.peek(100) == [Entry(1, b"a", 1), Entry(2, b"b", 10), Entry(12, b"c", 1)]


def test_a_peek_takes_nothing_away(spool):
    spool.append(b"a", 1)

    assert spool.peek(1) == spool.peek(1) == [Entry(1, b"a", 1)]
    assert spool.pending == 1


def test_a_batch_has_no_more_rows_than_asked_but_at_least_one_entry(spool):
    for rows in (3, 4, 50, 1):
        spool.append(b"x", rows)

    assert [entry.rows for entry in spool.peek(7)] == [3, 4]
    spool.forget(7)
    assert [entry.rows for entry in spool.peek(7)] == [50]


def test_what_is_forgotten_is_gone_and_counted(spool):
    fill(spool, 10)
    batch = spool.peek(4)

    spool.forget(batch[-1].seq)

    assert [entry.seq for entry in spool.peek(100)] == [5, 6, 7, 8, 9, 10]
    assert (spool.answered, spool.pending) == (10, 6)


def test_nothing_is_left_on_the_disk_but_the_lock_when_all_is_shipped(spool, folder):
    fill(spool, 10)
    shipped(spool)

    assert spool.pending == 0
    assert spool.size_bytes < 10_000
    spool.close()
    assert list(folder.iterdir()) == []


def test_rows_are_numbered_on_after_everything_was_shipped(spool):
    fill(spool, 3)
    shipped(spool)

    assert spool.append(b"x", 1) == 4
    assert shipped(spool) == [Entry(4, b"x", 1)]


def test_an_empty_payload_and_a_large_one_come_back_whole(spool):
    large = bytes(range(256)) * 20_000

    spool.append(b"", 1)
    spool.append(large, 10_000)

    assert [entry.payload for entry in shipped(spool)] == [b"", large]


def test_an_append_stands_for_at_least_one_row(spool):
    with pytest.raises(ValueError, match="at least 1"):
        spool.append(b"x", 0)


def test_many_threads_append_and_one_ships_and_each_entry_comes_once(spool):
    done, out = threading.Event(), []

    def ship():
        while not done.is_set() or spool.pending:
            spool.wait(0.01)
            out.extend(shipped(spool, 50))

    shipper = threading.Thread(target=ship)
    writers = [threading.Thread(target=fill, args=(spool, 500)) for _ in range(4)]
    for thread in (shipper, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    shipper.join()

    assert [entry.seq for entry in out] == list(range(1, 2001))
    assert sorted(entry.payload for entry in out) == sorted(
        n.to_bytes(4) * 100 for n in range(500) for _ in "1234"
    )


def test_waiting_ends_when_something_is_appended(spool):
    assert not spool.wait(0)
    threading.Timer(0.01, spool.append, (b"x", 1)).start()

    assert spool.wait(10)


def test_waiting_starts_again_when_all_is_shipped(spool):
    spool.append(b"x", 1)
    shipped(spool)

    assert not spool.wait(0)


def test_more_than_memory_holds_is_read_from_the_file(spool, monkeypatch):
    monkeypatch.setattr(segment, "MIRROR_BYTES", 1_000)
    fill(spool, 10)

    assert [entry.seq for entry in shipped(spool, 3)] == list(range(1, 11))


def test_a_long_backlog_is_kept_in_compact_segments(spool, monkeypatch, folder):
    monkeypatch.setattr(queue, "SEGMENT_BYTES", 100_000)
    for _ in range(5):
        fill(spool, 100)
        spool.peek(1)

    assert len(list(folder.glob("*.sqlite"))) == 6
    on_disk = sum(path.stat().st_size for path in folder.iterdir())
    assert on_disk <= spool.size_bytes < 2 * on_disk
    assert [entry.seq for entry in shipped(spool, 30)] == list(range(1, 501))


def test_a_full_spool_refuses_and_takes_again_what_fits(folder):
    spool = Spool.open(folder, max_bytes=1_000_000)
    with pytest.raises(SpoolFullError, match="full"):
        fill(spool, 10_000)
    kept = spool.answered

    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    assert len(shipped(spool)) == kept
    assert spool.append(b"again", 1) == kept + 1
    spool.close()


def test_a_payload_that_is_too_large_does_not_keep_a_small_one_out(folder):
    spool = Spool.open(folder, max_bytes=1_000_000)
    with pytest.raises(SpoolFullError):
        spool.append(bytes(2_000_000), 1)

    assert spool.append(b"small", 1) == 1
    spool.close()


def test_reserved_bytes_count_against_the_bound(spool):
    spool.reserved_bytes = ROOMY

    with pytest.raises(SpoolFullError):
        spool.append(b"x", 1)


def test_a_closed_spool_takes_nothing(spool):
    spool.close()

    with pytest.raises(SpoolFullError, match="stopping"):
        spool.append(b"x", 1)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(SpoolFullError, match="cannot be made"):
        Spool.open(tmp_path / "file" / "spool", max_bytes=ROOMY)


@pytest.mark.parametrize("fsync", [False, True])
def test_what_was_left_at_the_end_is_adopted_with_its_ledger(folder, fsync):
    spool = Spool.open(folder, max_bytes=ROOMY, fsync=fsync)
    fill(spool, 10)
    spool.forget(spool.peek(3)[-1].seq)
    spool.close()

    heir = adopted(folder)

    assert (heir.id, heir.answered, heir.pending) == (spool.id, 10, 7)
    assert [entry.seq for entry in shipped(heir)] == [4, 5, 6, 7, 8, 9, 10]
    heir.close()
    assert list(folder.iterdir()) == []


def test_the_spool_of_a_living_process_is_not_adopted(spool, folder):
    spool.append(b"x", 1)

    assert list(adopt_orphans(folder)) == []


def test_an_adopted_spool_is_not_adopted_again(folder):
    spool = Spool.open(folder, max_bytes=ROOMY)
    spool.append(b"x", 1)
    spool.close()
    heir = adopted(folder)

    assert list(adopt_orphans(folder)) == []
    heir.close()
    assert adopted(folder).pending == 1


def test_leftovers_of_a_removal_that_was_cut_short_are_cleared(folder):
    folder.mkdir()
    for name in ("a.lock", "a.0000000000000001.sqlite-wal", "a.0000000000000009.sqlite.new"):
        (folder / name).touch()

    assert list(adopt_orphans(folder)) == []
    assert list(folder.iterdir()) == []


def test_appends_that_meet_share_a_commit(spool, monkeypatch):
    groups, add = [], segment.Segment.add
    may_go, is_in = threading.Event(), threading.Event()

    def slow_add(self, entries):
        is_in.set()
        assert may_go.wait(10)
        groups.append(len(entries))
        add(self, entries)

    monkeypatch.setattr(segment.Segment, "add", slow_add)
    first, *others = [threading.Thread(target=spool.append, args=(b"x", 1)) for _ in range(8)]
    first.start()
    is_in.wait(10)
    for thread in others:
        thread.start()
    while len(spool._arrivals._waiting) < 7:
        threading.Event().wait(0.001)
    may_go.set()
    for thread in (first, *others):
        thread.join()

    assert groups == [1, 7]
    assert [entry.seq for entry in shipped(spool)] == list(range(1, 9))


def test_an_error_that_nobody_expected_leaves_no_append_waiting(spool, monkeypatch):
    monkeypatch.setattr(segment.Segment, "add", lambda self, entries: {}["bug"])
    with pytest.raises(KeyError):
        spool.append(b"x", 1)
    monkeypatch.undo()

    assert spool.append(b"y", 1) == 1


def test_a_group_that_cannot_be_written_is_refused_as_a_whole(spool):
    fill(spool, 1)
    spool._active._connection.execute(
        "CREATE TRIGGER no BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(SpoolFullError, match="cannot be written"):
        spool.append(b"x", 1)

    assert spool.append(b"y", 1) == 2
    assert [entry.payload for entry in shipped(spool)][1:] == [b"y"]


def test_a_moment_without_memory_does_not_condemn_a_segment():
    error = sqlite3.OperationalError("out of memory")
    error.sqlite_errorcode = sqlite3.SQLITE_NOMEM

    assert not segment.is_damage(error)
