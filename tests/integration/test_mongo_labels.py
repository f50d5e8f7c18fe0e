"""Labels on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils.mongo.labels import Label, LabelStore
from utils.time import now

T = [now() + timedelta(minutes=minutes) for minutes in range(5)]


@pytest.fixture
def store(db):
    return LabelStore(db)


def entry(label, minute):
    return {"label": label, "at": T[minute]}


def test_a_label_may_come_before_anything_else(store):
    store.put("a", "reggaeton", T[0])

    assert store.get("a") == {"_id": "a", "label": "reggaeton", "at": T[0], "history": []}


def test_the_same_label_twice_counts_once(store):
    store.put("a", 1, T[0])
    store.put("a", 1, T[1])

    assert store.get("a") == {"_id": "a", **entry(1, 0), "history": []}


def test_the_last_label_wins_and_the_others_are_kept(store):
    for minute, label in enumerate([0, 1, 0]):
        store.put("a", label, T[minute])

    assert store.get("a") == {"_id": "a", **entry(0, 2), "history": [entry(0, 0), entry(1, 1)]}


def test_a_label_that_was_overtaken_on_its_way_only_joins_the_history(store):
    store.put("a", 1, T[2])
    store.put("a", 0, T[1])
    store.put("a", 0, T[1])

    assert store.get("a") == {"_id": "a", **entry(1, 2), "history": [entry(0, 1)]}


def test_of_two_labels_in_one_request_the_later_wins(store):
    batch = [Label("a", 0, T[0]), Label("b", 5.5, T[0]), Label("a", 1, T[0])]

    store.put_many(batch)
    store.put_many(batch)

    assert store.for_predictions(["a", "b", "c"]) == {"a": 1, "b": 5.5}
    assert store.get("a")["history"] == [entry(0, 0)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    label=st.one_of(
        st.text("$.ab\u0000é", max_size=5),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.booleans(),
    )
)
def test_labels_of_any_kind_are_taken_literally(store, label):
    store.put(repr(label), label, T[0])

    assert store.for_predictions([repr(label)]) == {repr(label): label}


def test_labels_of_one_prediction_from_many_threads_are_all_kept(store):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda label: store.put("a", label, T[label % 5]), range(20)))

    stored = store.get("a")
    assert stored["at"] == T[4]
    assert {stored["label"]} | {past["label"] for past in stored["history"]} == set(range(20))


def test_coverage_counts_only_predictions_that_have_a_label(store):
    store.put_many([Label(str(number), 1, T[0]) for number in range(10)])

    assert store.n_labelled(str(number) for number in range(5, 100)) == 5
    assert store.n_labelled([]) == 0


def test_changed_labels_are_found_by_when_they_came(store):
    for minute, prediction_id in enumerate("abcd"):
        store.put(prediction_id, 1, T[minute])
    store.put("a", 0, T[2])

    assert store.changed(T[1], T[3]) == ["b", "a", "c"]


def test_no_labels_are_nothing(store):
    store.put_many([])

    assert store.for_predictions([]) == {}
