"""Drift checks on a real MongoDB: what they compare with, what they say, and columns that are odd."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlops.alerts import Alarms
from mlops.baselines import Baselines, TooFewRowsError
from mlops.channels import AlertMessage
from mlops.counting import Counter
from mlops.monitoring import Monitor, activity_of
from model.monitoring import PREDICTION, PROBABILITY, ModelReference
from model.spec import loads
from utils.mongo import indexes
from utils.mongo.alerts import AlertStore
from utils.mongo.counts import CountStore
from utils.mongo.history import HistoryStore
from utils.mongo.normals import NormalStore
from utils.mongo.predictions import PredictionStore
from utils.mongo.rejections import RejectionStore
from utils.mongo.reports import ReportStore

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPEC = """
name: songs
task: classification
target: {{name: hit, classes: [0, 1]}}
data: {{train: none.csv}}
features:
  tempo: {{type: number, unit: bpm}}
  genre: {{type: category}}
  energy: {{type: number, missing: true}}
drift: {{{drift}}}
"""


def columns(n, rng, shift=0.0, genres=("pop", "rock", "folk")):
    return {
        "tempo": (rng.normal(120 + shift, 20, n)).round(1).tolist(),
        "genre": rng.choice(genres, n, p=[0.5, 0.3, 0.2]).tolist(),
        "energy": rng.random(n).round(3).tolist(),
        PREDICTION: rng.integers(0, 2, n).tolist(),
        PROBABILITY: (rng.random(n)).round(2).tolist(),
    }


KINDS = {"tempo": "number", "genre": "category", "energy": "number"}
REFERENCE = ModelReference.fit(
    columns(8_000, np.random.default_rng(0)),
    {**KINDS, PREDICTION: "category", PROBABILITY: "number"},
    units={"tempo": "bpm"},
    segments=["genre"],
)


class Heard:
    """Keeps what people would be told, and what trackers would get."""

    def __init__(self):
        self.messages: list[AlertMessage] = []
        self.series = []

    def notify(self, message):
        self.messages.append(message)

    def log_series(self, model, version, at, values):
        self.series.append(values)


class Production:
    """A database with a champion, and rows of any hours."""

    def __init__(self, db, drift=""):
        indexes.ensure(db, None)
        HistoryStore(db).append("songs", "1", "promote", "", "test")
        self.heard, self.seq, self.db = Heard(), 0, db
        self.spec = loads(SPEC.format(drift=drift))
        counts = CountStore(db)
        predictions = PredictionStore(db)
        self.baselines = Baselines(counts, NormalStore(db))
        self.monitor = Monitor(
            Counter(predictions, counts, lambda model, version: REFERENCE),
            counts,
            HistoryStore(db),
            lambda model, version: REFERENCE,
            self.baselines,
            predictions,
            ReportStore(db, "drift_reports"),
            self.heard,
            Alarms(AlertStore(db), self.heard),
            RejectionStore(db),
        )
        self.predictions = predictions

    def log(self, hour, found, warned=()):
        documents = []
        for place, (prediction, probability) in enumerate(
            zip(found[PREDICTION], found[PROBABILITY], strict=True)
        ):
            features = {name: found[name][place] for name in found if not name.startswith("@")}
            self.seq += 1
            head = {"_id": f"{self.seq:08}", "spool": "s", "seq": self.seq, "model": "songs", "version": "1"}
            head |= {"at": START + hour * HOUR + timedelta(seconds=place % 3_600), "features": features}
            warnings = [{"code": "out_of_range", "feature": warned[place]}] if place in warned else []
            documents.append(
                head | {"prediction": prediction, "probability": probability, "warnings": warnings}
            )
        self.predictions.add_many(documents)

    def check(self, hour):
        return self.monitor.scheduled(self.spec, START + hour * HOUR)


@pytest.fixture
def production(db):
    return Production(db)


def test_an_alarm_says_what_moved_since_when_which_rows_and_what_to_do(production):
    rng = np.random.default_rng(1)
    for hour in range(12):
        production.log(hour, columns(400, rng, shift=25 if hour >= 8 else 0))

    report = production.check(12)

    (alarm,) = report["alarms"]
    assert (alarm["feature"], alarm["check"]) == ("tempo", "distribution")
    assert "bpm higher at the median" in alarm["sentence"]
    assert alarm["since"] == START + 8 * HOUR
    assert len(alarm["sample_ids"]) == 5
    assert all(production.predictions.get(one)["features"]["tempo"] > 140 for one in alarm["sample_ids"])
    assert "probability" in alarm["prediction"]
    assert {one["segment"].split()[0] for one in alarm["segments"]} == {"genre"}
    (message,) = production.heard.messages
    assert "begun at 2026-03-02 08:00 UTC" in message.text
    assert "drift accept songs" in message.text
    assert "Most touched: genre" in message.text


def test_all_missing_constant_new_and_unseen_columns_leave_the_rest_reported_without_nan(production):
    rng = np.random.default_rng(2)
    for hour in range(4):
        found = columns(500, rng, genres=("polka", "polka", "polka"))
        found |= {"energy": [None] * 500, "tempo": [120.0] * 500, "brand_new": ["x"] * 500}
        production.log(hour, found)

    report = production.check(4)

    drifted = {(alarm["feature"], alarm["check"]) for alarm in report["alarms"]}
    assert {("energy", "missing"), ("tempo", "distribution"), ("genre", "unseen")} <= drifted
    assert {one["feature"] for one in report["features"]} == {*KINDS, "prediction", "probability"}
    assert next(one for one in report["features"] if one["feature"] == "probability")["verdict"] == "ok"
    json.dumps(report, allow_nan=False, default=str)
    json.dumps(ReportStore(production.db, "drift_reports").latest("songs"), allow_nan=False, default=str)


def test_an_accepted_window_is_normal_until_it_is_reset_and_both_stay_in_the_history(production):
    rng = np.random.default_rng(3)
    for hour in range(6):
        production.log(hour, columns(400, rng, shift=25))
    assert production.check(6)["drift"]

    window = (START, START + 6 * HOUR)
    act = production.monitor.accept(production.spec, window, reason="a new label", by="ann")
    production.log(6, columns(400, rng, shift=25))
    accepted = production.check(7)
    production.baselines.reset("songs", reason="a mistake", by="bob")

    assert act["n_rows"] == 2_400
    assert not accepted["drift"]
    assert accepted["reference"]["note"] == "accepted by ann: a new label"
    assert production.check(8)["reference"]["kind"] == "training"
    acts = production.baselines.normals.all("songs")
    assert [(one["seq"], one["action"], one["by"]) for one in acts] == [
        (1, "accept", "ann"),
        (2, "reset", "bob"),
    ]


def test_a_segment_that_moves_alone_is_an_alert_that_names_it(production):
    found = columns(6_000, np.random.default_rng(7))
    moved = [t + 40 * (g == "folk") for t, g in zip(found["tempo"], found["genre"], strict=True)]
    few = [t if i % 3 else moved[i] for i, t in enumerate(found["tempo"])]
    production.log(0, found | {"tempo": few})

    report = production.check(1)

    assert report["drifted"] == ["tempo where genre is folk"]
    assert production.heard.messages[0].subject.startswith("Drift of segments in songs")
    assert "tempo where genre is folk is" in production.heard.messages[0].text


def test_people_are_told_once_enough_of_the_last_checks_agree(db):
    production = Production(db, "alert_after: 2, alert_of: 3")
    rng = np.random.default_rng(8)
    told = []
    for hour in range(4):
        production.log(hour, columns(900, rng, shift=25 if hour else 0))
        production.check(hour + 1)
        told.append(len(production.heard.messages))

    assert told == [0, 0, 1, 1]


def test_warnings_are_counted_once_and_told_with_refusals(production):
    found = columns(600, np.random.default_rng(9))
    production.log(0, found, warned={1: "tempo", 5: "tempo", 7: "genre"})
    production.monitor.rejections.add("songs", {"missing tempo": 4}, None, START, "b")
    production.monitor.rejections.add("songs", {"missing tempo": 4}, None, START, "b")

    report = production.check(1)

    assert report["warnings"] == [
        {"reason": "out_of_range tempo", "n_rows": 2},
        {"reason": "out_of_range genre", "n_rows": 1},
    ]
    assert report["rejections"] == [{"reason": "missing tempo", "n_rows": 4}]


def test_a_window_with_few_rows_cannot_be_accepted(production):
    production.log(0, columns(60, np.random.default_rng(4)))

    with pytest.raises(TooFewRowsError, match="60 counted rows"):
        production.monitor.accept(production.spec, (START, START + HOUR), reason="", by="ann")


def test_the_first_days_can_be_the_reference(db):
    production = Production(db, "reference: first_weeks, reference_days: 1")
    rng = np.random.default_rng(5)
    for hour in (0, 5, 20):
        production.log(hour, columns(400, rng, shift=25))
    early = production.check(21)
    for hour in range(24, 200, 20):
        production.log(hour, columns(400, rng, shift=25))
    later = production.check(200)

    assert early["reference"]["kind"] == "training"
    assert early["drift"]
    assert later["reference"]["kind"] == "first_weeks"
    assert not later["drift"]


def test_a_day_cycle_is_normal_with_a_season_and_a_shift_is_still_found(db):
    production = Production(db, "season: day, learning_days: 0")
    rng = np.random.default_rng(6)
    n_days = 6
    for hour in range(24 * n_days):
        production.log(hour, columns(300, rng, shift=15 * np.sin(2 * np.pi * hour / 24)))
    quiet = [production.check(hour)["drift"] for hour in range(24 * n_days - 6, 24 * n_days + 1, 2)]
    for hour in (144, 145):
        production.log(hour, columns(300, rng, shift=15 * np.sin(2 * np.pi * hour / 24) + 25))

    assert quiet == [False] * len(quiet)
    assert production.check(146)["drift"]


def test_hours_with_rows_of_one_kind_each_are_no_alarm_once_dependence_is_learnt(db):
    production = Production(db, "learning_days: 2")
    rng = np.random.default_rng(7)
    for hour in range(60):
        production.log(hour, columns(200, rng, shift=rng.normal(0, 25)))

    assert production.check(47)["drift"]
    learnt = production.check(60)
    assert learnt["parameters"]["design_effects"]["tempo"] > 5
    assert "tempo" not in learnt["drifted"]


def test_few_rows_and_silence_are_told():
    rows = [100 + hour % 7 for hour in range(28 * 24)]

    assert [one["verdict"] for one in activity_of(rows)] == ["ok", "ok"]
    assert activity_of([*rows, 3])[0]["verdict"] == "drift"
    assert activity_of([*rows, *[0] * 5])[1]["verdict"] == "drift"
    assert activity_of([5])[0]["verdict"] == "insufficient_data"


def test_two_checks_of_one_due_time_make_one_report_and_tell_once(production):
    rng = np.random.default_rng(8)
    production.log(0, columns(800, rng, shift=40))

    production.check(1)
    production.check(1)

    assert production.db["drift_reports"].count_documents({}) == 1
    keys = [message.check for message in production.heard.messages]
    assert keys
    assert len(keys) == len(set(keys))
    assert len(production.heard.series) == 1
