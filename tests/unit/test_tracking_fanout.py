"""The fan-out without trackers, and how settings choose them."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops.tracking import Trackers
from mlops.tracking.courier import Limits
from mlops.tracking.fanout import _finite
from utils.errors import SettingsError
from utils.settings import Settings

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_with_no_tracker_named_nothing_happens():
    with Trackers.build(Settings(trackers=())) as trackers:
        trackers.log_series("songs", "1", AT, {"drift/tempo/p_value": 0.5})

        assert trackers.status() == []
        assert trackers.flush(0)


def test_an_unknown_tracker_stops_the_start_and_names_the_variable():
    with pytest.raises(SettingsError, match=r"TRACKERS: wandb is not a tracker; known are neptune, mlflow"):
        Trackers.build(Settings(trackers=("mlflow", "wandb")))


def test_the_trackers_of_the_settings_are_made_and_nothing_is_started(tmp_path: Path):
    with Trackers.build(Settings(trackers=("neptune", "mlflow"), state_dir=tmp_path)) as trackers:
        states = {status["tracker"]: status["state"] for status in trackers.status()}

    assert states == {"neptune": "idle", "mlflow": "idle"}
    assert list(tmp_path.iterdir()) == []


def test_neptunes_debug_mode_means_no_neptune():
    with Trackers.build(Settings(trackers=("neptune", "mlflow"), neptune_mode="debug")) as trackers:
        assert [status["tracker"] for status in trackers.status()] == ["mlflow"]


def test_values_that_are_not_finite_are_left_out():
    assert _finite({"a": 1, "b": float("nan"), "c": float("-inf"), "d": None}) == {"a": 1.0}


def test_a_metric_that_is_no_number_does_not_hurt_the_caller(tmp_path: Path, caplog):
    with Trackers.build(Settings(trackers=("mlflow",), state_dir=tmp_path), Limits()) as trackers:
        trackers.log_series("songs", "1", AT, {"drift/tempo/p_value": "many"})  # type: ignore[dict-item]

    assert "could not be handed to the trackers" in caplog.text


def test_importing_and_building_trackers_imports_no_tracker(tmp_path: Path):
    code = (
        "import sys; from utils.settings import Settings; from mlops.tracking import Trackers;"
        "Trackers.build(Settings(trackers=('neptune', 'mlflow')));"
        "print([m for m in ('neptune', 'mlflow', 'pandas', 'scipy', 'sklearn') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
