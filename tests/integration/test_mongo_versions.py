"""Stored versions of models on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from utils.errors import ConflictError, IntegrityError, NotFoundError
from utils.mongo import indexes
from utils.mongo.versions import VersionStore
from utils.time import now

PARTS = {"pipeline.joblib": b"\x80\x05" * 2_000_000, "golden.json": b"[]", "empty": b""}


@pytest.fixture
def store(db):
    indexes.ensure(db, None)
    return VersionStore(db)


def manifest(version="1", **more):
    return {"model": "songs", "version": version, "metrics": {"roc_auc": 0.1 + 0.2}, "parts": {}} | more


def n_files(db):
    return db["fs.files"].count_documents({})


def test_a_version_is_read_back_byte_by_byte(store):
    stored = manifest(spec={"z.z": 1, "$a": [2**53 + 1, 1e-300, None, True], "ñ": {}})

    store.add("songs", stored, PARTS)

    assert repr(store.manifest("songs", "1")) == repr(stored)
    assert {name: store.part("songs", "1", name) for name in PARTS} == PARTS


def test_numbers_of_versions_are_never_given_twice(store):
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: store.next_version("songs"), range(40)))

    assert sorted(numbers, key=int) == [str(number) for number in range(1, 41)]
    assert store.next_version("cars") == "1"


def test_an_imported_version_is_not_numbered_again(store):
    store.add("songs", manifest("7"), {})

    assert store.next_version("songs") == "8"


def test_the_same_version_twice_is_a_conflict_that_leaves_the_first_and_no_parts(store, db):
    store.add("songs", manifest(), {"a": b"first"})

    with pytest.raises(ConflictError, match="Version 1 of model songs"):
        store.add("songs", manifest(), {"a": b"second"})

    assert store.part("songs", "1", "a") == b"first"
    assert n_files(db) == 1


def test_of_many_who_add_a_version_at_once_one_wins(store, db):
    def add(content):
        try:
            store.add("songs", manifest(by=content), {"a": content.encode()})
        except ConflictError:
            return None
        return content

    with ThreadPoolExecutor(8) as threads:
        winners = [content for content in threads.map(add, "abcdefgh") if content]

    assert len(winners) == 1
    assert store.manifest("songs", "1")["by"] == winners[0]
    assert store.part("songs", "1", "a") == winners[0].encode()
    assert n_files(db) == 1


def test_a_half_written_version_is_invisible_and_its_parts_are_cleaned(store, db):
    store.add("songs", manifest("1"), {"a": b"1"})
    store._upload("songs", "2", "a", b"written before the process was killed")

    assert [found["version"] for found in store.all("songs")] == ["1"]
    assert store.clean(now() - timedelta(hours=1)) == 0
    assert store.clean(now() + timedelta(seconds=1)) == 1
    assert n_files(db) == 1


def test_versions_come_oldest_first_and_models_sorted(store):
    for model, version in [("songs", "9"), ("songs", "10"), ("cars", "1")]:
        store.add(model, manifest(version), {})

    assert [found["version"] for found in store.all("songs")] == ["9", "10"]
    assert store.models() == ["cars", "songs"]


def test_what_is_not_there_is_not_found(store):
    store.add("songs", manifest(), {})

    for missing in [("songs", "2", "a"), ("cars", "1", "a"), ("songs", "1", "a")]:
        with pytest.raises(NotFoundError):
            store.part(*missing)


def test_a_part_that_gridfs_lost_is_an_integrity_error(store, db):
    store.add("songs", manifest(), PARTS)
    db["fs.chunks"].delete_one({"n": 1})

    with pytest.raises(IntegrityError, match=r"pipeline\.joblib of version 1"):
        store.part("songs", "1", "pipeline.joblib")
