"""What MongoDB knows becomes gauges with the numbers that are stored."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from mlops import gauges
from utils.mongo import indexes
from utils.mongo.alerts import AlertStore
from utils.mongo.job_runs import JobRunStore
from utils.mongo.reports import ReportStore
from utils.time import now


@pytest.fixture
def services(db):
    indexes.ensure(db, None)
    return SimpleNamespace(
        names=lambda: ["a", "b"],
        alerts=AlertStore(db),
        quality_reports=ReportStore(db, "quality_reports"),
        drift_reports=ReportStore(db, "drift_reports"),
        job_runs=JobRunStore(db),
    )


def samples(services, name):
    (found,) = [gauge for gauge in gauges.all_gauges(services) if gauge.name == name]
    return found.samples


def test_open_alerts_are_active_and_resolved_ones_are_not(services):
    for key in ("drift/x", "activity/silence"):
        services.alerts.open_or_touch("a", key, {"sentence": "", "version": "1", "found": {}}, now())
    services.alerts.resolve("a", "drift/x", now(), after=1)

    assert samples(services, "alert_active") == {("a", "activity/silence"): 1.0}


def test_the_newest_measured_window_gives_quality_coverage_and_delay(services):
    metrics = {"f1": {"value": 0.75}, "brier": {"value": None}}
    report = {
        "model": "a", "kind": "window", "window_start": now() - timedelta(days=1), "window_end": now(),
        "checked_at": now(), "coverage": 0.5, "delay_hours": {"median": 2.0}, "verdict": "ok",
        "versions": [{"version": "3", "metrics": metrics}],
    }  # fmt: skip
    services.quality_reports.replace(report)

    assert samples(services, "quality_value") == {("a", "3", "f1"): 0.75}
    assert samples(services, "label_coverage_ratio") == {("a",): 0.5}
    assert samples(services, "label_delay_seconds") == {("a",): 7_200.0}


def test_runs_are_counted_by_outcome_and_the_last_good_one_is_dated(services):
    before = now().timestamp()
    ends = (3, "monitor", "ok"), (2, "monitor", "late"), (1, "monitor", "failed"), (1, "b", "failed")
    for hours, job, outcome in ends:
        due_at = now() - timedelta(hours=hours)
        assert services.job_runs.claim(job, due_at, "me")
        assert services.job_runs.finish(job, due_at, "me", outcome)

    found = samples(services, "scheduler_runs_total")
    assert found == {
        ("monitor", "ok"): 1.0, ("monitor", "late"): 1.0, ("monitor", "failed"): 1.0, ("b", "failed"): 1.0
    }  # fmt: skip
    last = samples(services, "scheduler_last_success_timestamp_seconds")
    assert set(last) == {("monitor",)}
    assert last["monitor",] == pytest.approx(before, abs=30)
