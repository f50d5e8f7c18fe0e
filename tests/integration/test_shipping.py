"""The way of answered predictions from the spool into a real MongoDB."""

import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops.bookkeeping import Books
from mlops.record import LoggedRequest, encode
from mlops.shipping import Shipper
from utils.errors import UnavailableError
from utils.mongo.predictions import PredictionStore
from utils.spool import LogCounts, Spool, adopt_orphans
from utils.time import prediction_ids

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 5, 4, tzinfo=UTC)


class Flaky:
    """The real store behind a line that can be cut, before or after MongoDB got the batch."""

    def __init__(self, store):
        self.store = store
        self.is_away = False
        self.lost_answers = 0
        self.was_called = threading.Event()

    def add_many(self, documents):
        self.was_called.set()
        if self.is_away:
            raise UnavailableError("MongoDB does not answer.")
        n_new = self.store.add_many(documents)
        if self.lost_answers:
            self.lost_answers -= 1
            raise UnavailableError("MongoDB did not acknowledge.")
        return n_new


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def spool(folder):
    spool = Spool.open(folder, max_bytes=100_000_000)
    yield spool
    spool.close()


@pytest.fixture
def store(db):
    return Flaky(PredictionStore(db))


@pytest.fixture
def shipper(spool, store, folder):
    shipper = Shipper(spool, store, folder, linger_s=0.01, adopt_every_s=0.02)
    yield shipper
    store.is_away = False
    if shipper._thread.ident:
        assert shipper.stop()
    shipper.books.close()


def answer(spool, n_rows=1, value=98.5):
    """Append one answered request and return its prediction ids."""
    ids = prediction_ids(n_rows)
    values = [(value,)] * n_rows
    record = LoggedRequest("r", "songs", "1", AT, "compiled", 0.3, ("tempo",), values, ids, [1] * n_rows)
    spool.append(encode(record), n_rows)
    return ids


def stored_ids(db):
    return sorted(document["_id"] for document in db["predictions"].find({}, ["_id"]))


def is_balanced(spool, shipper):
    return spool.answered == shipper.stored + shipper.set_aside + spool.pending + spool.unreadable


def test_every_answered_row_is_stored_once(db, spool, shipper):
    shipper.start()
    ids = []
    threads = [
        threading.Thread(target=lambda: [ids.extend(answer(spool, n)) for n in (1, 7, 1, 40)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert shipper.drain(30)
    assert stored_ids(db) == sorted(ids)
    assert (shipper.stored, spool.answered) == (196, 196)


def test_a_document_says_where_it_came_from(db, spool, shipper):
    answer(spool, 2)
    [_, second] = answer(spool, 2)
    shipper.start()
    assert shipper.drain(30)

    document = db["predictions"].find_one({"_id": second})

    assert (document["spool"], document["seq"], document["row"]) == (spool.id, 4, 1)
    assert document["features"] == {"tempo": 98.5}
    assert document["at"] == AT


def test_a_request_of_many_rows_goes_in_batches(db, spool, shipper):
    ids = answer(spool, 2_500)
    shipper.start()

    assert shipper.drain(30)
    assert stored_ids(db) == sorted(ids)


def test_a_lost_acknowledgement_stores_nothing_twice(db, spool, store, shipper):
    store.lost_answers = 2
    ids = answer(spool, 10)
    shipper.start()

    assert shipper.drain(30)
    assert stored_ids(db) == sorted(ids)
    assert (shipper.stored, shipper.retried) == (10, 2)


def test_an_outage_is_told_once_and_everything_arrives_afterwards(db, spool, store, shipper, caplog):
    caplog.set_level(logging.INFO)
    store.is_away = True
    ids = answer(spool, 5)
    shipper.start()
    for _ in range(3):
        assert store.was_called.wait(30)
        store.was_called.clear()

    assert shipper.outage_since is not None
    assert is_balanced(spool, shipper)
    store.is_away = False
    assert shipper.drain(30)
    assert stored_ids(db) == sorted(ids)
    assert shipper.outage_since is None
    assert caplog.text.count("stay in the spool") == caplog.text.count("stored again") == 1


def test_a_document_that_is_too_large_does_not_hold_up_the_others(db, spool, shipper, folder):
    before, _, after = answer(spool), answer(spool, value="x" * 17_000_000), answer(spool)
    shipper.start()

    assert shipper.drain(60)
    assert stored_ids(db) == sorted(before + after)
    assert (shipper.stored, shipper.set_aside) == (2, 1)
    [refused] = (folder / "refused").iterdir()
    assert refused.name == f"{spool.id}-2.json"


def test_a_document_that_is_too_large_does_not_wait_for_others(spool, shipper):
    answer(spool, value="x" * 17_000_000)
    shipper.start()

    assert shipper.drain(60)
    assert shipper.set_aside == 1


def refuse(db, query):
    db.command(
        "collMod" if "predictions" in db.list_collection_names() else "create", "predictions", validator=query
    )


def test_documents_that_the_server_refuses_are_set_aside(db, spool, shipper, folder):
    refuse(db, {"features.tempo": {"$gt": 0}})
    ids = answer(spool, 20)
    for _ in range(3):
        answer(spool, value=-1.0)
    shipper.start()

    assert shipper.drain(60)
    assert stored_ids(db) == sorted(ids)
    assert is_balanced(spool, shipper)
    assert len(list((folder / "refused").iterdir())) == shipper.set_aside == 3


def test_a_whole_batch_that_is_refused_does_not_hold_up_what_comes_behind(db, spool, shipper):
    refuse(db, {"features.tempo": {"$gt": 0}})
    answer(spool, 450, value=-1.0)
    ids = answer(spool, 2)
    shipper.start()

    assert shipper.drain(60)
    assert stored_ids(db) == ids
    assert (shipper.stored, shipper.set_aside) == (2, 450)


def test_what_a_dead_process_left_and_is_refused_does_not_hold_up_the_living(db, spool, shipper, folder):
    refuse(db, {"features.tempo": {"$gt": 0}})
    dead = Spool.open(folder, max_bytes=100_000_000)
    answer(dead, 3, value=-1.0)
    dead.close()
    shipper.start()
    wait_for(lambda: shipper.outage_since is not None)
    ids = answer(spool, 2)

    assert shipper.drain(30)
    wait_for(lambda: shipper.recovered == 3)
    assert stored_ids(db) == ids


def test_nothing_is_set_aside_when_a_refusal_of_everything_ends_half_way(db, spool, store, folder):
    shipper = Shipper(spool, RefusesFirst(store, 5), folder, linger_s=0)
    ids = answer(spool, 4)
    shipper.start()

    assert shipper.drain(30)
    assert shipper.stop()
    assert stored_ids(db) == sorted(ids)
    assert shipper.set_aside == 0


class RefusesFirst:
    """The real store, whose first ``n`` calls fail for a reason of their own."""

    def __init__(self, store, n):
        self.store = store
        self.n_left = n

    def add_many(self, documents):
        self.n_left -= 1
        if self.n_left >= 0:
            raise RuntimeError("not authorized")
        return self.store.add_many(documents)


def test_what_is_told_of_a_refusal_has_no_values(db, spool, shipper, caplog):
    refuse(db, {"features.tempo": {"$ne": "secret"}})
    answer(spool, 5)
    answer(spool, value="secret")
    shipper.start()

    assert shipper.drain(30)
    assert "set aside" in caplog.text
    assert "secret" not in caplog.text


def test_nothing_is_set_aside_while_everything_is_refused(db, spool, shipper, folder):
    refuse(db, {"features.tempo": {"$lt": 0}})
    ids = answer(spool, 5)
    shipper.start()
    assert not shipper.drain(0.5)

    assert (spool.pending, shipper.set_aside) == (5, 0)
    assert not (folder / "refused").exists()
    refuse(db, {})
    assert shipper.drain(30)
    assert stored_ids(db) == sorted(ids)


def test_bytes_that_are_no_record_are_set_aside(db, spool, shipper, folder):
    spool.append(b"no record", 3)
    ids = answer(spool)
    shipper.start()

    assert shipper.drain(30)
    assert stored_ids(db) == ids
    assert (folder / "refused" / f"{spool.id}-1.payload").read_bytes() == b"no record"
    assert is_balanced(spool, shipper)


def test_what_dead_processes_left_is_shipped(db, spool, shipper, folder):
    dead = [Spool.open(folder, max_bytes=100_000_000) for _ in range(3)]
    ids = [prediction_id for other in dead for prediction_id in answer(other, 4)]
    for other in dead:
        other.close()
    shipper.start()
    assert shipper.drain(30)
    wait_for(lambda: shipper.recovered == 12 and not shipper.n_adopted)

    assert stored_ids(db) == sorted(ids)
    assert (shipper.stored, spool.reserved_bytes) == (0, 0)
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {spool.id, "ledger"}


def test_a_process_that_dies_later_is_noticed(db, shipper, folder):
    other = Spool.open(folder, max_bytes=100_000_000)
    ids = answer(other, 4)
    shipper.start()
    other.close()

    wait_for(lambda: shipper.recovered == 4)
    assert stored_ids(db) == ids


def wait_for(is_true):
    moment, tries = threading.Event(), 0
    while not is_true():
        tries += 1
        assert tries < 3_000, "not within 30 s"
        moment.wait(0.01)


def test_the_books_balance_at_every_moment(spool, shipper):
    shipper.start()
    found = []
    for n_rows in (1, 30, 2, 500) * 20:
        answer(spool, n_rows)
        found.append(shipper.books.total())
    assert shipper.drain(30)

    assert {counts.difference for counts in found} == {0}
    assert [counts.answered for counts in found] == sorted({counts.answered for counts in found})
    assert shipper.books.total() == (10_660, 10_660, 0)


def test_the_books_have_what_a_dead_process_answered_and_did_not_write_down(spool, shipper, folder):
    code = (
        "import os, sys, pathlib, utils.spool as s; spool = s.Spool.open(pathlib.Path(sys.argv[1]), "
        "max_bytes=10**8); spool.append(b'x', 4); spool.peek(9); spool.forget(4); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, check=False)
    answer(spool, 2)
    shipper.start()

    wait_for(lambda: shipper.books.total() == (6, 6, 0))


def test_the_books_know_that_nothing_waits_before_a_spool_is_gone(spool, shipper, folder, monkeypatch):
    other = Spool.open(folder, max_bytes=100_000_000)
    answer(other, 4)
    others = Books(folder, lambda: {other.id: LogCounts(4, 0, 4)})
    others.publish()
    others.close()
    other.close()
    onlooker, seen, close = Books(folder, dict), [], Spool.close
    monkeypatch.setattr(Spool, "close", lambda gone: (seen.append(onlooker.total()), close(gone)))
    shipper.start()

    wait_for(lambda: seen)
    assert seen[0] == (4, 4, 0)
    onlooker.close()


def test_the_books_tell_what_was_set_aside_and_count_it_once(spool, shipper, folder):
    spool.append(b"no record", 3)
    answer(spool)
    shipper.start()
    assert shipper.drain(30)

    assert shipper.books.total() == (4, 1, 0)
    assert shipper.books.total().difference == shipper.books.n_set_aside(spool.id) == 3


def test_the_counts_of_a_process_that_ended_go_on(spool, store, shipper, folder):
    shipper.start()
    answer(spool, 6)
    assert shipper.drain(30)
    assert shipper.stop()
    spool.close()
    shipper.settle()
    heir = Spool.open(folder, max_bytes=100_000_000)
    following = Shipper(heir, store, folder)
    answer(heir, 5)

    assert following.books.total() == (11, 6, 5)
    following.books.close()
    heir.close()


def test_an_adopted_backlog_counts_against_the_bound(spool, store, shipper, folder):
    store.is_away = True
    other = Spool.open(folder, max_bytes=100_000_000)
    answer(other, 1_000)
    other.close()
    shipper.start()

    assert store.was_called.wait(30)
    assert spool.reserved_bytes > 10_000


def test_draining_does_not_linger(spool, store, folder):
    shipper = Shipper(spool, store, folder, linger_s=60)
    shipper.start()
    answer(spool)

    assert shipper.drain(10)
    assert shipper.stop()


def test_draining_gives_up_in_time_and_loses_nothing(spool, store, shipper, folder):
    store.is_away = True
    answer(spool, 3)
    shipper.start()

    assert not shipper.drain(0.2)
    assert shipper.stop()
    spool.close()
    assert [heir.pending for heir in adopt_orphans(folder)] == [3]


def test_the_shipper_outlives_an_error_that_nobody_expected(db, spool, shipper, folder, caplog):
    (folder / "refused").touch()  # where a folder belongs
    spool.append(b"no record", 1)
    shipper.start()
    wait_for(lambda: "Shipping failed" in caplog.text)
    (folder / "refused").unlink()

    assert shipper.drain(30)
    assert shipper.set_aside == 1


def test_shipping_needs_neither_the_driver_nor_the_web_nor_the_models():
    heavy = "{'sklearn', 'pandas', 'scipy', 'numpy', 'flask', 'pymongo', 'bson'}"
    code = f"import sys, mlops.shipping; print({heavy} & {{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "set()"
