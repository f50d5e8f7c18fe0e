"""Challengers beside their champion: shadows, replays, taking a worse champion back, trainings by alarm."""

import msgspec
import pytest

from mlops.remedies import onset
from mlops.retraining import Order
from model import spec as specs
from tests.integration.loop_world import DAY, START, rows, world
from utils.errors import ConflictError, NotFoundError
from utils.time import now

RULES = """
retrain: {on: [quality], min_labels: 100, every_hours: 48}
rollback: {days: 365, min_labels: 100}
"""


@pytest.fixture(scope="module")
def found(mongo_uri, tmp_path_factory):
    """Version 1 learnt the rows, 2 their opposite, 3 nearly the same rows again."""
    with world(mongo_uri, tmp_path_factory.mktemp("world"), RULES) as made:
        opposite = [row | {"y": 1 - row["y"]} for row in rows(4_000, 5)]
        made.operations.retrain(Order("t", kind="retrain", promote="never", rows=opposite))
        made.operations.retrain(Order("t", kind="retrain", promote="never", rows=rows(300, 6)))
        yield made


@pytest.fixture
def empty(found):
    """The same world with nothing logged, and version 1 as champion."""
    for name in ("predictions", "labels", "quality_reports", "shadow_reports", "alerts", "rollouts"):
        found.services.db[name].delete_many({})
    if found.registry.champion("t") != "1":
        found.registry.promote("t", "1", reason="", by="me")
    found.trainings.clear()
    return found


def test_a_replay_says_where_two_versions_differ_which_is_right_and_how_long_they_take(empty):
    truth = rows(400, 7)
    empty.label(empty.answer(truth, 0), truth, START + DAY)

    report = empty.operations.shadows.replay(empty.spec, "2", now() - START, now())

    first = report["segments"][0]
    assert (report["n_rows"], report["n_labelled"], report["n_refused"]) == (400, 400, 0)
    assert report["agreement"] < 0.5
    assert first["agreement"] <= report["agreement"] and first["feature"] in ("a", "b")
    assert report["gate"]["verdict"] == "not better"
    assert report["metrics"]["challenger"]["roc_auc"] < 0.5 < report["metrics"]["champion"]["roc_auc"]
    assert 0 < report["latency_ms"]["challenger"]["p50"] <= report["latency_ms"]["challenger"]["p99"]
    assert empty.services.shadow_reports.latest("t", "replay")["sentence"] == report["sentence"]


def test_a_shadow_scores_each_row_once_and_what_it_says_is_kept(empty):
    empty.operations.shadows.begin("t", "3", by="me", at=START)
    shadow = empty.operations.shadows.scheduled
    for day in range(2):
        empty.answer(rows(100 * (day + 1), day), day)
        shadow(empty.spec, START + (day + 1) * DAY)

    reports = empty.services.shadow_reports.list("t", 10)
    assert [report["n_rows"] for report in reports] == [200, 100]
    assert min(report["agreement"] for report in reports) > 0.8
    assert shadow(empty.spec, START + 2 * DAY) is None


def test_a_shadow_must_be_another_version_that_there_is(empty):
    with pytest.raises(ConflictError):
        empty.operations.shadows.begin("t", "1", by="me", at=START)
    with pytest.raises(NotFoundError):
        empty.operations.shadows.begin("t", "99", by="me", at=START)


def on_probation(found, version, n):
    """Promote a version and have it answer ``n`` labelled rows; returns what a look says."""
    entry = found.registry.promote("t", version, reason="", by="me")
    truth = rows(n, 11)
    day = (entry["at"] - START) / DAY + 1e-4
    found.label(found.answer(truth, day), truth, now())
    return found.operations.probation.check(found.spec, entry["at"] + 2 * DAY)


def test_a_champion_that_does_worse_than_the_one_before_is_taken_back_and_people_are_told(empty):
    assert on_probation(empty, "2", 150) == "2 taken back"

    entry = empty.services.history.current("t")
    (alert,) = empty.alerts()
    assert (entry["version"], entry["action"], entry["by"]) == ("1", "rollback", "clock")
    assert (
        entry["reason"].startswith("automatic: 1 does better than 2") and "gain in roc_auc" in entry["reason"]
    )
    assert (alert["check"], alert["state"]) == ("rollback", "open")
    assert "1 answers again in place of 2" in alert["sentence"]


def test_a_champion_that_does_as_well_stays_and_is_looked_at_again_with_twice_the_labels(empty):
    assert on_probation(empty, "3", 150) == "3 stays"
    assert empty.operations.probation.check(empty.spec, now() + 3 * DAY) is None
    assert empty.registry.champion("t") == "3"
    assert empty.alerts() == []


def test_few_labels_take_nobody_back(empty):
    assert on_probation(empty, "2", 60) is None
    assert empty.registry.champion("t") == "2"


def test_nobody_is_taken_back_where_the_spec_says_so(empty):
    rule = msgspec.structs.replace(empty.spec, rollback=specs.Rollback(days=0))
    on_probation(empty, "2", 60)
    truth = rows(200, 12)
    empty.label(empty.answer(truth, (now() - START) / DAY), truth, now())

    assert empty.operations.probation.check(rule, now() + DAY) is None
    assert empty.registry.champion("t") == "2"


def alarm(found, key, day):
    """Open an alarm on a day with 150 labelled rows that were answered wrongly."""
    truth = [row | {"y": 1 - row["y"]} for row in rows(150, 20 + int(day))]
    found.label(found.answer(truth, day), truth, START + (day + 0.9) * DAY)
    at = START + (day + 1) * DAY
    found.services.alerts.open_or_touch("t", key, {"check": key.split("/")[0]}, at)
    return at


def test_an_alarm_starts_one_training_however_long_it_lasts(empty):
    at = alarm(empty, "quality/roc_auc", 0)

    first = empty.remedies.act(empty.spec, at)
    again = [empty.remedies.act(empty.spec, at + hours * DAY / 24) for hours in (1, 24, 200)]

    assert first is not None and again == [None] * 3
    assert len(empty.trainings) == 1
    assert empty.trainings[0]["rows"] == {"n_bundled": 2_000, "n_logged": 150, "n_given": 0}
    assert empty.alerts()[0]["training"] == {"due_at": at, "outcome": first}


def test_a_second_alarm_waits_until_the_last_training_is_long_enough_ago(empty):
    empty.remedies.act(empty.spec, alarm(empty, "quality/roc_auc", 0))
    empty.services.alerts.open_or_touch("t", "quality/accuracy", {"check": "quality"}, START + 2 * DAY)

    early = empty.remedies.act(empty.spec, START + 2 * DAY)
    truth = rows(120, 30)
    empty.label(empty.answer(truth, 2), truth, START + 2.5 * DAY)
    late = empty.remedies.act(empty.spec, START + 4 * DAY)

    assert (early, late is not None, len(empty.trainings)) == (None, True, 2)


def test_an_alarm_that_the_spec_does_not_name_or_without_labels_starts_nothing(empty):
    at = alarm(empty, "concept_drift/roc_auc", 0)
    empty.services.alerts.open_or_touch("t", "quality/roc_auc", {"check": "quality"}, at + 5 * DAY)

    assert empty.remedies.act(empty.spec, at) is None
    assert empty.remedies.act(empty.spec, at + 5 * DAY) is None


def test_a_run_that_another_clock_takes_over_may_train_and_no_other_run_may(empty):
    store, at = empty.services.alerts, alarm(empty, "quality/roc_auc", 0)
    (alert,) = store.list("t")

    claims = [store.claim_training(alert["id"], due_at) for due_at in (at, at, at + DAY)]
    store.note_training(alert["id"], "3 promoted")

    assert claims == [True, True, False]
    assert not store.claim_training(alert["id"], at)


def test_the_onset_of_a_drift_reaches_back_over_windows_that_chance_let_look_well():
    newest_first = "wgwwggggw"
    reports = [{"window_start": -i, "is_wrong": mark == "w"} for i, mark in enumerate(newest_first)]

    assert onset(reports, lambda report: report["is_wrong"]) == -3
    assert onset(reports[4:8], lambda report: report["is_wrong"]) is None


def test_a_retraining_may_search_for_a_pipeline_first(empty):
    outcome = empty.operations.retrain(Order("t", promote="never", tune=2))

    manifest = empty.registry.manifest("t", outcome["version"])
    assert manifest.resolved_spec().pipeline == outcome["pipeline"]["function"]
    assert manifest.resolved_spec().parameters == outcome["pipeline"]["parameters"]
