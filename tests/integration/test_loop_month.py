"""A month with concept drift in week three: alarm, retraining, gate and promotion by themselves."""

import numpy as np
import pytest

from tests.integration.loop_world import DAY, START, rows, world

LABELS_AFTER = 3
RULES = "retrain: {on: [concept_drift, quality, data_drift], min_labels: 300}\n"


@pytest.fixture(scope="module")
def month(mongo_uri, tmp_path_factory):
    """28 days of 200 rows; from day 14 on labels flip where ``a`` is high. 70 % get a label, 3 days later."""
    with world(mongo_uri, tmp_path_factory.mktemp("month"), RULES) as found:
        live_through(found)
        yield found


def live_through(found):
    given, found.opened = {}, {}
    for day in range(28):
        truth = rows(200, 100 + day, flips=day >= 14)
        given[day] = list(zip(found.answer(truth, day), truth, strict=True))[:140]
        end = START + (day + 1) * DAY
        if day >= LABELS_AFTER:
            found.label(*zip(*given[day - LABELS_AFTER], strict=True), end - DAY / 24)
        found.look(end - DAY, end)
        for alert in found.alerts():
            found.opened.setdefault(alert["key"], day)


def test_no_input_moved_and_none_is_said_to_have(month):
    assert not [key for key in month.opened if key.startswith("drift/")]


def test_the_gap_between_estimate_and_truth_alarms_in_the_first_week_that_has_labels(month):
    estimated = [month.part(day)["estimated"]["roc_auc"]["value"] for day in range(25)]
    realised = [month.part(day)["metrics"]["roc_auc"]["value"] for day in range(25)]

    assert min(estimated[:18]) > 0.85
    assert np.mean(realised[:14]) > 0.85 > 0.7 > np.mean(realised[14:17])
    assert 14 + LABELS_AFTER <= month.opened["concept_drift/roc_auc"] < 14 + LABELS_AFTER + 7


def test_the_alarm_starts_one_training_on_the_rows_since_it_began_and_the_gate_promotes(month):
    (training,) = month.trainings
    entries = month.services.history.all("t")

    assert training["is_promoted"]
    assert training["rows"]["n_bundled"] == 0
    assert training["rows"]["n_logged"] >= 300
    assert training["champion"]["metrics"]["roc_auc"] < training["challenger"]["metrics"]["roc_auc"]
    assert [(entry["version"], entry["by"]) for entry in entries[1:]] == [("2", "clock")]
    assert "because of concept_drift/roc_auc" in entries[1]["reason"]


def test_the_version_says_since_when_it_learnt_and_from_which_predictions(month):
    manifest, ids = month.registry.manifest("t", "2"), month.registry.learnt_from("t", "2")

    assert START + 13 * DAY <= manifest.trained_on.since <= START + 15 * DAY
    assert len(ids) == month.trainings[0]["rows"]["n_logged"]
    assert min(int(one.split("-")[0]) for one in ids) >= 13


def test_quality_is_restored_and_the_alarms_are_over(month):
    last = [month.part(day) for day in range(22, 25)]

    assert {part["version"] for part in last} == {"2"}
    assert np.mean([part["metrics"]["roc_auc"]["value"] for part in last]) > 0.85
    assert month.alerts(state="open") == []
