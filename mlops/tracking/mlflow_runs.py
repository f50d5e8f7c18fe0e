"""MLflow, by its own slim client: a server, an SQLite file or a folder. Runs in a child process only.

One experiment ``vigia`` (or ``MLFLOW_EXPERIMENT_NAME``). Per model one long-lived run with the series, found
again by a tag after restarts, and one run a version, so that MLflow's table compares versions.
"""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from mlops.tracking.port import Notify
from mlops.tracking.port import Param as ParamValue

SQLITE = "sqlite:///"
TAG = "vigia.run"
MAX_KEY = 250
MAX_METRICS = 1_000
MAX_PARAMS = 100

_REFUSED = re.compile(r"[^\w\-. :/]")


def open_tracker(options: Mapping[str, Any], notify: Notify) -> "MlflowTracker":
    """Make the tracker; options are ``uri`` and ``artifacts``, where local stores keep files."""
    del notify  # MLflow has nothing to say once
    return MlflowTracker(options["uri"], options["artifacts"])


class MlflowTracker:
    """Fills ``mlops.tracking.port.Tracker``.

    Parameters
    ----------
    uri : str
        Tracking URI: ``http(s)://``, ``sqlite:///`` or a folder.
    artifacts : str
        ``file://`` URI for files of local stores; a server has its own place.
    """

    def __init__(self, uri: str, artifacts: str) -> None:
        with _alone(uri):
            self._client = MlflowClient(tracking_uri=uri)
            self._experiment_id = self._experiment(artifacts if _is_local(uri) else None)
        self._runs: dict[str, str] = {}

    def log_series(self, model: str, version: str, at: datetime, values: Mapping[str, float]) -> None:
        """Log one point a series; the step is seconds, so stores keep a repeated point once."""
        moment = at.timestamp()
        self._log_metrics(self._run(model, model, "RUNNING"), values, int(moment * 1000), int(moment))
        self._client.set_tag(self._run(model, model, "RUNNING"), "version", version)

    def log_metrics(self, model: str, version: str, values: Mapping[str, float]) -> None:
        """Log single numbers to the version's run."""
        self._log_metrics(self._version_run(model, version), values, 0, 0)

    def log_params(self, model: str, version: str, params: Mapping[str, ParamValue]) -> None:
        """Log to the version's run. MLflow refuses to change a parameter, which then counts as failed."""
        run = self._version_run(model, version)
        entries = [Param(_key(name), str(value)) for name, value in params.items()]
        for part in _parts(entries, MAX_PARAMS):
            self._client.log_batch(run, params=part)

    def log_files(self, model: str, version: str, files: Mapping[str, Path]) -> None:
        """Copy each file to the version's run, in a folder of its name."""
        run = self._version_run(model, version)
        for name, path in files.items():
            self._client.log_artifact(run, str(path), artifact_path=_key(name))

    def close(self) -> None:
        """Do nothing: every call has been written when it comes back."""

    def _log_metrics(self, run: str, values: Mapping[str, float], at_ms: int, step: int) -> None:
        entries = [Metric(_key(name), value, at_ms, step) for name, value in values.items()]
        for part in _parts(entries, MAX_METRICS):
            self._client.log_batch(run, metrics=part)

    def _version_run(self, model: str, version: str) -> str:
        return self._run(f"{model}/{version}", f"{model} {version}", "FINISHED")

    def _run(self, label: str, name: str, state: str) -> str:
        tag = _key(label)  # also keeps quotes out of the search
        if tag not in self._runs:
            self._runs[tag] = self._oldest(tag) or self._create(tag, name, state)
        return self._runs[tag]

    def _create(self, tag: str, name: str, state: str) -> str:
        created: str = self._client.create_run(
            self._experiment_id, tags={TAG: tag}, run_name=name
        ).info.run_id
        self._client.update_run(created, status=state)
        oldest = self._oldest(tag) or created
        if oldest != created:  # another process was faster by a moment
            self._client.delete_run(created)
        return oldest

    def _oldest(self, tag: str) -> str | None:
        found = self._client.search_runs(
            [self._experiment_id],
            filter_string=f"tags.`{TAG}` = '{tag}'",
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
            max_results=1,
        )
        return str(found[0].info.run_id) if found else None

    def _experiment(self, artifacts: str | None) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "vigia")
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name, artifact_location=artifacts))
        except MlflowException:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)  # another process was faster by a moment


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Let one process at a time open an SQLite store: MLflow makes and migrates its tables without a lock."""
    if not uri.startswith(SQLITE):
        yield
        return
    path = Path(uri.removeprefix(SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _key(name: str) -> str:
    """Return a name that MLflow accepts: letters, digits and ``_-. :/``; all else becomes ``_``."""
    return _REFUSED.sub("_", name)[:MAX_KEY]


def _is_local(uri: str) -> bool:
    return not uri.startswith(("http://", "https://", "databricks"))


def _parts(entries: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]
