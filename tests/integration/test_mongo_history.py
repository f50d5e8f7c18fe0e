"""Who was live when, on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from utils.errors import ConflictError
from utils.mongo import indexes
from utils.mongo.history import HistoryStore
from utils.time import now


@pytest.fixture
def store(db):
    indexes.ensure(db, None)
    return HistoryStore(db)


def test_the_newest_entry_names_the_champion(store):
    store.append("songs", "1", "promote", "first", "ana")
    entry = store.append("songs", "2", "promote", "better", "gate", expected_seq=1)

    assert entry == store.current("songs")
    assert (entry["seq"], entry["version"], entry["reason"], entry["by"]) == (2, "2", "better", "gate")


def test_a_model_without_history_has_no_champion(store):
    assert store.current("songs") is None
    assert store.champions() == {}
    assert store.all("songs") == []


def test_a_decision_on_an_old_state_is_a_conflict(store):
    store.append("songs", "1", "promote", "first", "ana", expected_seq=0)

    with pytest.raises(ConflictError, match="songs"):
        store.append("songs", "2", "promote", "also first", "bo", expected_seq=0)

    assert store.current("songs")["version"] == "1"


def test_of_many_promotions_at_once_from_one_state_exactly_one_wins(store):
    def promote(version):
        try:
            return store.append("songs", version, "promote", "race", "thread", expected_seq=0)
        except ConflictError:
            return None

    with ThreadPoolExecutor(8) as threads:
        winners = [entry for entry in threads.map(promote, "12345678") if entry]

    assert winners == store.all("songs")
    assert len(winners) == 1


def test_champions_has_the_newest_entry_of_every_model(store):
    for model, version in [("songs", "1"), ("cars", "1"), ("songs", "2"), ("cars", "3"), ("songs", "1")]:
        store.append(model, version, "promote", "", "ana")

    champions = store.champions()

    assert {model: entry["version"] for model, entry in champions.items()} == {"songs": "1", "cars": "3"}
    assert champions["songs"] == store.current("songs")


def test_champions_reads_one_entry_a_model_however_long_the_history(store, db):
    db["model_history"].insert_many(
        {"model": model, "seq": seq, "version": "1", "at": now()} for model in "ab" for seq in range(500)
    )
    db.command("profile", 2)
    store.champions()
    db.command("profile", 0)

    [profile] = db["system.profile"].find({"command.aggregate": "model_history"})
    assert profile["docsExamined"] <= 2


def test_history_tells_who_was_live_at_any_time(store, db):
    start = now() - timedelta(days=3)
    for day in range(3):
        entry = {"model": "songs", "seq": day + 1, "version": str(day), "at": start + timedelta(days=day)}
        db["model_history"].insert_one(entry)

    assert store.at("songs", start - timedelta(seconds=1)) is None
    assert store.at("songs", start)["version"] == "0"
    assert store.at("songs", start + timedelta(days=1, hours=23))["version"] == "1"


def test_history_never_runs_backwards_when_clocks_differ(store, db):
    ahead = now() + timedelta(minutes=5)
    db["model_history"].insert_one({"model": "songs", "seq": 1, "version": "1", "at": ahead})

    assert store.append("songs", "2", "promote", "", "ana")["at"] == ahead
