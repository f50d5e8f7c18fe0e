"""The real MLflow client and real stores, read back through MLflow itself."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlops.tracking import Limits, Trackers
from utils.settings import Settings

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> Settings:
    """Settings with the default SQLite store, or with a folder."""
    uri = None if request.param == "sqlite" else (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # for reading; the tracker sets its own
    monkeypatch.chdir(tmp_path)
    return Settings(trackers=("mlflow",), state_dir=tmp_path / "var", mlflow_tracking_uri=uri)


@pytest.fixture
def client(store: Settings) -> Iterator[MlflowClient]:
    """MLflow's own client on the same store; use it after logging."""
    return MlflowClient(store.mlflow_tracking_uri or f"sqlite:///{store.state_dir.resolve() / 'mlflow.db'}")


def runs(client: MlflowClient) -> dict[str, Run]:
    experiment = client.get_experiment_by_name("vigia")
    assert experiment is not None
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_series_params_metrics_and_pictures_are_in_the_store(store: Settings, tmp_path: Path, request):
    picture = tmp_path / "roc.png"
    picture.write_bytes(b"picture")
    with Trackers.build(store) as trackers:
        for hour in (0, 1):
            trackers.log_series("songs", "3", AT + timedelta(hours=hour), {"drift/tempo/p_value": 0.1 + hour})
        assert trackers.flush(60)
    with Trackers.build(store) as trackers:  # a restart that sends the last point again
        trackers.log_series("songs", "3", AT + timedelta(hours=1), {"drift/tempo/p_value": 1.1})
        trackers.log_metrics("songs", "3", {"roc_auc": 0.93})
        trackers.log_params("songs", "3", {"n_trees": 100})
        trackers.log_files("songs", "3", {"roc": picture})
        trackers.log_series("songs", "3", AT, {"drift/año [s]/n": 7})
        assert trackers.flush(60)
        assert trackers.status()[0]["last_error"] is None

    client: MlflowClient = request.getfixturevalue("client")
    found = runs(client)
    history = client.get_metric_history(found["songs"].info.run_id, "drift/tempo/p_value")
    points = {(point.step, point.value) for point in history}
    assert sorted(found) == ["songs", "songs 3"]
    assert points == {(int(AT.timestamp()), 0.1), (int(AT.timestamp()) + 3600, 1.1)}
    assert found["songs"].data.metrics["drift/año _s_/n"] == 7
    assert found["songs 3"].data.metrics == {"roc_auc": 0.93}
    assert found["songs 3"].data.params == {"n_trees": "100"}
    assert client.list_artifacts(found["songs 3"].info.run_id, "roc")[0].path == "roc/roc.png"
    assert not (tmp_path / "mlruns").exists() or store.mlflow_tracking_uri


def test_two_processes_share_one_run(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Settings(trackers=("mlflow",), state_dir=tmp_path)
    both = [Trackers.build(store, Limits(backoff_s=0.1)) for _ in range(2)]
    for number, trackers in enumerate(both):
        trackers.log_series("songs", "3", AT + timedelta(hours=number), {"a": float(number)})
    assert all(trackers.flush(60) for trackers in both)
    for trackers in both:
        trackers.close(20)

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    [run] = runs(client).values()
    assert len(client.get_metric_history(run.info.run_id, "a")) == 2


def test_a_server_that_is_not_there_delays_nothing_and_is_counted():
    store = Settings(trackers=("mlflow",), mlflow_tracking_uri="http://me:s3cret@127.0.0.1:9")
    with Trackers.build(store, Limits(n_attempts=1)) as trackers:
        started = time.perf_counter()
        trackers.log_series("songs", "3", AT, {"a": 1.0})
        elapsed = time.perf_counter() - started
        assert trackers.flush(60)
        [status] = trackers.status()

    assert elapsed < 0.05
    assert (status["sent"], status["failed"]) == (0, 1)
    assert "s3cret" not in (status["last_error"] or "")
