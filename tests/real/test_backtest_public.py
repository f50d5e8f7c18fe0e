"""Backtests of public streams: silent on the control, loud when the world changed."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.running import run

PUBLIC = Path(os.environ.get("VIGIA_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = [
    pytest.mark.public_data,
    pytest.mark.skipif(
        not PUBLIC.is_dir(), reason=f"no public tables (looked in {PUBLIC}; set VIGIA_PUBLIC_DATA)"
    ),
]


@pytest.fixture
def backtest(tmp_path):
    def go(training, history, target, features, window="1d", *more):
        kinds = {n: "number" if training[n].dtype.kind in "iuf" else "category" for n in features}
        spec = {
            "name": "stream",
            "task": "classification" if training[target].nunique() == 2 else "regression",
            "target": {"name": target},
            "data": {"train": "train.csv"},
            "features": {name: {"type": kind, "missing": True} for name, kind in kinds.items()},
        }
        (tmp_path / "stream.yaml").write_text(json.dumps(spec))
        training.to_csv(tmp_path / "train.csv", index=False)
        history.to_csv(tmp_path / "history.csv", index=False)
        asked = [
            "--model",
            "stream",
            "--data",
            str(tmp_path / "history.csv"),
            "--at",
            "at",
            "--window",
            window,
        ]
        done = run("mlops", "backtest", *asked, *more, "--json", MODELS_DIR=tmp_path, STATE_DIR=tmp_path)
        assert done.returncode in (0, 2), done.stderr
        return json.loads(done.stdout)["windows"]

    return go


def first_alarms(windows):
    """Return on which day each feature drifted first."""
    found = {}
    for window in windows:
        for one in window["features"]:
            if one["drift"]:
                found.setdefault(one["feature"], window["start"][:10])
    return found


@pytest.fixture(scope="module")
def adult():
    table = pd.read_csv(PUBLIC / "control_adult" / "adult.csv.gz")
    return table.sample(frac=1, random_state=3).reset_index(drop=True)


def timed(table):
    hours = pd.to_timedelta(np.arange(len(table)) // 25, unit="h")
    return table.assign(at=pd.Timestamp("2024-01-01") + hours)


def test_shuffled_halves_raise_no_alarm_and_a_split_by_education_does_at_once(adult, backtest):
    features = [name for name in adult if name != "label"]
    half = len(adult) // 2
    control = backtest(timed(adult[:half]), timed(adult[half:]), "label", features)
    is_low = adult["education-num"] <= 9
    split = backtest(timed(adult[is_low]), timed(adult[~is_low])[:2_000], "label", features)

    assert [window["start"] for window in control if window["alarm"]] == []
    assert split[0]["alarm"]
    assert split[0]["features"][0]["drift"]


def test_electricity_alarms_in_the_week_in_which_victoria_joins_the_market(backtest):
    table = pd.read_csv(PUBLIC / "drift_elec2" / "elec2.csv.gz").sort_values("row")
    table["at"] = pd.Timestamp("1996-05-07") + pd.to_timedelta(table["row"] * 30, unit="min")
    features = ["vicprice", "vicdemand", "transfer"]
    windows = backtest(table[:3_000], table[3_000:], "class", features, "7d")

    assert set(first_alarms(windows)) == set(features)
    assert set(first_alarms(windows).values()) == {"1997-05-01"}


def test_bikes_alarm_when_a_year_is_not_the_spring_that_training_saw(backtest):
    table = pd.read_csv(PUBLIC / "drift_bikes" / "hour.csv").sort_values("instant")
    day = pd.to_datetime(table["dteday"], format="%m/%d/%y")
    table["at"] = day + pd.to_timedelta(table["hr"], unit="h")
    n = len(table) // 4
    windows = backtest(table[:n], table[n:], "cnt", ["temp", "hum", "windspeed"], "7d", "--labels", "cnt")

    assert {"label", "temp"} <= set(first_alarms(windows))


def test_californian_districts_alarm_within_days_although_each_day_is_a_place(backtest):
    table = pd.read_csv(PUBLIC / "drift_california" / "california_housing.csv.gz")
    table = table.rename(columns={"timestamp": "at"})
    is_reference = table["partition"] == "reference"
    features = ["MedInc", "HouseAge", "AveRooms", "AveOccup", "Latitude", "Longitude"]
    more = ("--predictions", "y_pred_proba", "--labels", "clf_target")
    windows = backtest(table[is_reference], table[~is_reference], "clf_target", features, "1d", *more)

    found = first_alarms(windows)
    assert found["Latitude"] < "2021-07-01"
    assert "error" in found
