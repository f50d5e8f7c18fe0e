"""The log of predictions on a real MongoDB."""

import threading
from datetime import timedelta

import pytest

from utils.mongo import predictions
from utils.mongo.predictions import PredictionStore
from utils.time import now, prediction_ids

START = now().replace(minute=0, second=0, microsecond=0) - timedelta(days=1)


@pytest.fixture
def store(db):
    return PredictionStore(db)


def document(prediction_id, **changes):
    return {
        "_id": prediction_id,
        "request_id": "r",
        "row": 0,
        "model": "songs",
        "version": "1",
        "at": START,
        "features": {"tempo": 98.5},
        "prediction": 1,
        "probability": 0.93,
        "warnings": [],
        "spool": "s",
        "seq": 0,
    } | changes


def at_minutes(*minutes):
    return [document(str(minute), at=START + timedelta(minutes=minute)) for minute in minutes]


def test_a_prediction_is_read_back_as_it_was_stored(store):
    [prediction_id] = prediction_ids(1)
    stored = document(prediction_id, subject="ana", warnings=["tempo is high"])

    n_new = store.add_many([stored])

    assert n_new == 1
    assert store.get(prediction_id) == stored


def test_feature_names_of_any_kind_survive(store):
    features = {"a.b": 1.0, "$x": "y", "ñ c": None, "": 2, "$": 1, ".": 0, "a": {"$gt": ""}}

    store.add_many(
        [document("dict", features=features), predictions.encode(document("raw", features=features))]
    )

    assert store.get("dict")["features"] == features
    assert list(store.get("raw")["features"]) == list(features)


def test_sending_a_batch_again_stores_nothing_twice(store):
    batch = [document(str(position)) for position in range(1000)]
    store.add_many(batch)

    n_new = store.add_many([*batch, document("new")])

    assert n_new == 1
    assert store.count("songs", START, START + timedelta(hours=1)) == 1001


def test_what_is_stored_is_not_changed_by_a_second_sending(store):
    store.add_many([document("a", prediction=1)])

    store.add_many([document("a", prediction=0), document("b")])

    assert store.get("a")["prediction"] == 1
    assert store.get("b") is not None


def test_encoded_and_plain_documents_are_the_same_to_the_store(store):
    n_new = store.add_many(
        [predictions.encode(document("a")), document("b"), predictions.encode(document("b"))]
    )

    assert n_new == 2
    assert store.get("a") == document("a")


def test_an_empty_batch_is_nothing(store):
    assert store.add_many([]) == 0


@pytest.mark.parametrize("value", [2**70, "\ud800", object()])
def test_what_cannot_be_stored_is_refused_before_it_is_queued(value):
    with pytest.raises(ValueError, match="cannot be stored"):
        predictions.encode(document("a", features={"x": value}))


def test_a_window_has_its_start_and_not_its_end(store):
    store.add_many(at_minutes(60, 0, -1, 59))

    window = store.window("songs", START, START + timedelta(hours=1))

    assert [found["_id"] for found in window] == ["0", "59"]


def test_a_window_can_be_of_one_version_and_of_few_fields(store):
    store.add_many([document("a"), document("b", version="2"), document("c", model="cars")])

    window = list(
        store.window("songs", START, START + timedelta(hours=1), version="2", fields=["prediction"])
    )

    assert window == [{"_id": "b", "prediction": 1}]


def test_the_last_predictions_come_newest_first(store):
    store.add_many(at_minutes(1, 2, 3))

    assert [found["_id"] for found in store.last("songs", 2)] == ["3", "2"]


def test_traffic_counts_rows_by_hour_and_version(store):
    store.add_many([*at_minutes(-1, 0, 59), document("v2", version="2", at=START + timedelta(hours=3))])

    assert store.traffic("songs", START) == [
        {"hour": START, "version": "1", "n_rows": 2},
        {"hour": START + timedelta(hours=3), "version": "2", "n_rows": 1},
    ]


def positions(tables):
    return sorted(seq for table in tables for seq in table.seq.tolist())


def test_a_spool_is_read_in_order_from_any_position(store):
    store.add_many([document(f"{spool}{seq}", spool=spool, seq=seq) for spool in "ab" for seq in (3, 1, 2)])

    assert store.last_positions() == {"a": 3, "b": 3}
    assert positions(store.after("b", 1, 10)) == [2, 3]
    assert positions(store.after("b", 0, 1)) == [1]
    assert store.after("b", 3, 1) == []


def test_a_reader_by_position_misses_nothing_while_the_log_is_written(store):
    batches = [[document(f"{at + seq}", seq=at + seq) for seq in range(500)] for at in range(0, 10_000, 500)]
    writer = threading.Thread(target=lambda: [store.add_many(batch) for batch in batches])
    writer.start()

    seen = [-1]
    while seen[-1] < 9_999:
        seen += positions(store.after("s", seen[-1], 300))

    writer.join()
    assert seen == list(range(-1, 10_000))
