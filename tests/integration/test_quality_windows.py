"""Quality of windows of logged answers: labels late, twice, changed; alarms; a month with concept drift."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlops.alerts import Alarms
from mlops.channels import Notifier
from mlops.quality import QualityMonitor, VersionParts
from mlops.registry import Registry
from mlops.tracking.fanout import Trackers
from model import spec, training
from utils.mongo import indexes
from utils.mongo.alerts import AlertStore
from utils.mongo.history import HistoryStore
from utils.mongo.labels import Label, LabelStore
from utils.mongo.predictions import PredictionStore
from utils.mongo.reports import ReportStore
from utils.mongo.versions import VersionStore

SPEC = spec.loads("""
name: t
task: classification
target: {name: y, classes: {0: low, 1: high}}
data: {train: t.csv}
pipeline: tests.small_pipelines:logistic
features: {a: {type: number}, b: {type: number}}
metrics: [roc_auc, accuracy, precision, recall, f1, brier]
""")
DAY = timedelta(days=1)
START = datetime(2026, 3, 2, tzinfo=UTC)


def rows(n, seed, flips=False):
    """Rows; with ``flips`` the label is the other one wherever ``a`` is above 0.3: inputs as ever."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    y = x[:, 0] + x[:, 1] + rng.normal(size=n) > 0
    y = np.where(x[:, 0] > 0.3, ~y, y) if flips else y
    return [{"a": a, "b": b, "y": int(t)} for (a, b), t in zip(x.tolist(), y, strict=True)]


@pytest.fixture(scope="module")
def trained():
    return training.train(SPEC, rows(2_000, 0))


class World:
    """A champion, its log, and the monitor."""

    def __init__(self, db, trained):
        indexes.ensure(db, None)
        self.db = db
        self.history, self.predictions, self.labels = HistoryStore(db), PredictionStore(db), LabelStore(db)
        self.registry = Registry(VersionStore(db), self.history, b"a key of more than sixteen characters")
        self.registry.promote("t", self.registry.add(trained), reason="first", by="me")
        self.alerts = AlertStore(db)
        self.loaded = self.registry.load("t", "1")
        self.reports = ReportStore(db, "quality_reports")
        parts = VersionParts(self.loaded.manifest, self.loaded.spec, trained.expectation)
        self.monitor = QualityMonitor(
            self.predictions, self.labels, self.history, lambda model, version: parts, self.reports,
            Trackers({}), Alarms(self.alerts, Notifier([])),
        )  # fmt: skip

    def answer(self, given, day):
        """Log answers to rows, spread over one day; returns their ids."""
        numbers = np.array([[row["a"], row["b"]] for row in given])
        scores = self.loaded.predictor.scores(numbers, None)[:, 1]
        documents = [
            {
                "_id": f"{day}-{i}", "model": "t", "version": "1", "at": START + (day + i / len(given)) * DAY,
                "features": {"a": row["a"], "b": row["b"]}, "probability": float(p),
                "prediction": int(p >= self.loaded.threshold), "spool": "s", "seq": day * 10_000 + i,
            }
            for i, (row, p) in enumerate(zip(given, scores, strict=True))
        ]  # fmt: skip
        self.predictions.add_many(documents)
        return [document["_id"] for document in documents]

    def label(self, ids, given, at):
        labels = [Label(one, row["y"], at) for one, row in zip(ids, given, strict=True)]
        self.labels.put_many(labels)

    def check(self, since, at):
        return self.monitor.scheduled([SPEC], since, at)["t"]

    def report(self, day):
        (found,) = self.reports.window("t", START + (day + 1) * DAY, START + (day + 1) * DAY + DAY / 2)
        return found

    def open_alerts(self):
        return sorted(alert["key"] for alert in self.alerts.list("t", state="open"))


@pytest.fixture
def world(db, trained):
    return World(db, trained)


def test_a_label_that_nobody_can_read_covers_no_row(world):
    given = rows(400, 1)
    ids = world.answer(given, 0)
    world.label(ids[:300], given[:300], START + DAY)
    world.labels.put_many([Label(one, "nonsense", START + DAY) for one in ids[300:350]])

    world.check(START, START + 2 * DAY)

    report = world.report(0)
    assert (report["n_labelled"], report["coverage"]) == (300, 0.75)
    assert report["versions"][0]["n_unreadable"] == 50


def test_a_window_is_measured_with_intervals_coverage_and_delay(world):
    given = rows(400, 1)
    ids = world.answer(given, 0)
    world.label(ids[:300], given[:300], START + 2 * DAY)

    assert world.check(START, START + 3 * DAY) == "ok"

    report = world.report(0)
    (part,) = report["versions"]
    auc = part["metrics"]["roc_auc"]
    assert (report["n_rows"], report["n_labelled"], report["coverage"]) == (400, 300, 0.75)
    assert auc["low"] < auc["value"] < auc["high"]
    assert sum(map(sum, part["confusion"])) == 300
    assert 24 < report["delay_hours"]["median"] < 48


def test_labels_that_come_30_days_late_twice_or_changed_are_counted_once_in_their_window(world):
    given = rows(200, 2)
    ids = world.answer(given, 0)
    wrong = [row | {"y": 1 - row["y"]} for row in given]
    world.label(ids, wrong, START + DAY)
    world.check(START, START + 2 * DAY)
    before = world.report(0)

    for _ in range(2):
        world.label(ids, given, START + 30 * DAY)
    world.check(START + 29 * DAY, START + 31 * DAY)

    after = world.report(0)
    accuracy = [one["versions"][0]["metrics"]["accuracy"]["value"] for one in (before, after)]
    assert (before["n_labelled"], after["n_labelled"]) == (200, 200)
    assert accuracy[0] == pytest.approx(1 - accuracy[1])
    assert world.db["quality_reports"].count_documents({}) == 1


def test_a_label_before_its_prediction_counts_when_that_is_there(world):
    given = rows(100, 3)
    world.label([f"0-{i}" for i in range(100)], given, START)
    world.check(START - DAY, START + DAY / 2)

    world.answer(given, 0)
    world.check(START + DAY / 2, START + DAY + timedelta(minutes=1))

    assert world.report(0)["n_labelled"] == 100


def test_without_labels_the_estimate_is_near_what_they_say_later(world):
    given = rows(2_000, 4)
    ids = world.answer(given, 0)
    world.check(START, START + DAY)
    (before,) = world.report(0)["versions"]

    world.label(ids, given, START + DAY)
    world.check(START + DAY, START + 2 * DAY)

    (after,) = world.report(0)["versions"]
    assert before["verdict"] == "no labels"
    for metric in ("roc_auc", "accuracy", "precision", "recall", "f1", "brier"):
        estimated, realised = before["estimated"][metric]["value"], after["metrics"][metric]["value"]
        assert estimated == pytest.approx(realised, abs=0.03), metric


def test_a_month_with_concept_drift_in_week_three_alarms_as_soon_as_labels_allow(world):
    verdicts, alerts = [], []
    for day in range(28):
        given = rows(150, 100 + day, flips=day >= 14)
        ids = world.answer(given, day)
        world.label(ids, given, START + (day + 1) * DAY)  # each label comes a day later
        verdicts.append(world.check(START + day * DAY, START + (day + 1) * DAY + timedelta(minutes=1)))
        alerts.append(world.open_alerts())

    estimated = [world.report(day)["versions"][0]["estimated"]["roc_auc"]["value"] for day in range(28)]
    realised = [world.report(day)["versions"][0]["metrics"]["roc_auc"]["value"] for day in range(28)]
    assert verdicts[:14] == ["ok"] * 14
    assert alerts[14] == ["concept_drift/roc_auc", "quality/roc_auc"]
    assert min(estimated) > 0.75
    assert np.mean(realised[14:]) < 0.6 < np.mean(realised[:14])
    assert world.db["alerts"].count_documents({}) == 2
