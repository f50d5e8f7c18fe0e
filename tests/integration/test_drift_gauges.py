"""Gauges of drift checks, from reports on a real MongoDB."""

from datetime import UTC, datetime

import pytest

from mlops.drift_gauges import drift_gauges
from utils.mongo.reports import ReportStore

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
CHECK = {"check": "distribution", "statistic_name": "ks", "threshold": 0.05, "p_value": 0.001, "n": 400}


def report(hour, **changes):
    tempo = CHECK | {"feature": "tempo", "statistic": 0.2, "effect": 0.2, "drift": True, "sentence": "words"}
    empty = CHECK | {"feature": "genre", "statistic": None, "p_value": None, "effect": None, "drift": False}
    head = {"model": "songs", "version": "3", "kind": "scheduled", "verdict": "drift", "drift": True}
    head |= {"window_end": AT.replace(hour=hour), "checked_at": AT.replace(hour=hour), "n_rows": 9_600}
    return head | {"features": [tempo, empty], "quality": [], "shapes": [{"edges": [1]}]} | changes


@pytest.fixture
def gauges(db):
    store = ReportStore(db, "drift_reports")
    store.add(report(8, n_rows=1))
    store.add(report(9))
    store.add(report(10, kind="on_demand", n_rows=2))
    return {gauge.name: gauge.samples for gauge in drift_gauges(store, ["songs", "cars"])}


def test_the_newest_scheduled_check_is_told(gauges):
    assert gauges["drift_window_rows"] == {("songs", "3"): 9_600.0}
    assert gauges["drift_last_check_timestamp_seconds"] == {("songs", "3"): AT.timestamp()}


def test_each_feature_has_its_statistic_effect_rows_and_verdict(gauges):
    tempo = ("songs", "3", "tempo", "distribution")

    assert gauges["drift_score"][*tempo, "ks"] == gauges["drift_effect"][tempo] == 0.2
    assert (gauges["drift_rows"][tempo], gauges["drift_detected"][tempo]) == (400.0, 1.0)


def test_what_could_not_be_computed_has_no_sample(gauges):
    assert [labels[2] for labels in gauges["drift_score"]] == ["tempo"]
    assert gauges["drift_detected"]["songs", "3", "genre", "distribution"] == 0.0
