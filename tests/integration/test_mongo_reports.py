"""Reports on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from utils.mongo import indexes
from utils.mongo.reports import ReportStore
from utils.time import now

END = now()


@pytest.fixture
def store(db):
    indexes.ensure(db, None)
    return ReportStore(db, "drift_reports")


def report(hours=0, **changes):
    return {"model": "songs", "kind": "scheduled", "window_end": END + timedelta(hours=hours)} | changes


def test_a_report_is_read_back_with_any_feature_names(store):
    stored = report(features={"a.b": {"p_value": 0.01}, "$x": None})

    assert store.add(stored)
    assert store.latest("songs") == stored


def test_many_clocks_store_one_report_a_window(store):
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda clock: store.add(report(clock=clock)), range(8)))

    assert sum(added) == 1
    assert len(store.list("songs", 10)) == 1


def test_late_labels_replace_the_report_of_their_window(store):
    store.add(report(n_labelled=10))

    store.replace(report(n_labelled=20))

    assert [found["n_labelled"] for found in store.list("songs", 10)] == [20]


def test_reports_come_newest_first_of_one_kind_and_before_a_time(store):
    for hours in (1, 3, 2):
        store.add(report(hours))
    store.add(report(4, kind="manual"))

    assert store.latest("songs")["kind"] == "manual"
    assert store.latest("songs", "scheduled") == report(3)
    assert store.list("songs", 2, before=END + timedelta(hours=3)) == [report(2), report(1)]


def test_a_range_of_reports_has_its_start_and_not_its_end(store):
    for hours in (1, 2, 3):
        store.add(report(hours))

    found = store.window("songs", END + timedelta(hours=1), END + timedelta(hours=3))

    assert found == [report(1), report(2)]


def test_a_model_without_reports_has_no_latest_one(store):
    store.add(report(model="cars"))

    assert store.latest("songs") is None
