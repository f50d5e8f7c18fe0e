"""Hands every metric to every tracker that is set, without ever waiting for one or failing because of one.

With ``TRACKERS`` empty this is the tracker that does nothing.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from mlops.tracking.courier import Courier, CourierStatus, Limits
from mlops.tracking.port import Param
from mlops.tracking.process import Call, ChildProcess, Plan
from utils.errors import SettingsError

logger = logging.getLogger(__name__)


class TrackerSettings(Protocol):
    """The settings that trackers read; ``utils.settings.Settings`` has them."""

    @property
    def trackers(self) -> tuple[str, ...]: ...
    @property
    def neptune_api_token(self) -> str | None: ...
    @property
    def neptune_project(self) -> str | None: ...
    @property
    def neptune_mode(self) -> str | None: ...
    @property
    def mlflow_tracking_uri(self) -> str | None: ...
    @property
    def state_dir(self) -> Path: ...


class TrackerStatus(CourierStatus):
    """What a page or a metric shows of one tracker."""

    tracker: str


class Trackers:
    """All trackers behind one: calls return at once and never raise.

    Make it after a fork, and close it at the end; a process that ends without closing leaves nothing running,
    but what was queued is lost.

    Parameters
    ----------
    plans : mapping of str to Plan
        One child process each, by name; none is a tracker that does nothing.
    limits : Limits, optional
        Bounds for each tracker.
    secrets : iterable of str
        Removed from errors.
    """

    def __init__(
        self, plans: Mapping[str, Plan], limits: Limits | None = None, secrets: Iterable[str] = ()
    ) -> None:
        hidden = tuple(secret for secret in secrets if secret)
        self._couriers = [
            Courier(name, ChildProcess(name, plan), limits, hidden) for name, plan in plans.items()
        ]

    @classmethod
    def build(cls, settings: TrackerSettings, limits: Limits | None = None) -> Self:
        """Make the trackers that ``TRACKERS`` names. Nothing is started before the first metric.

        Raises
        ------
        SettingsError
            If ``TRACKERS`` names one that does not exist.
        """
        unknown = sorted(set(settings.trackers) - set(_PLANS))
        if unknown:
            known = ", ".join(_PLANS)
            raise SettingsError(f"TRACKERS: {', '.join(unknown)} is not a tracker; known are {known}.")
        plans = {name: _PLANS[name](settings) for name in settings.trackers}
        is_debug = settings.neptune_mode == "debug"
        wanted = {name: plan for name, plan in plans.items() if not (is_debug and name == "neptune")}
        return cls(wanted, limits, [settings.neptune_api_token or ""])

    def log_series(self, model: str, version: str, at: datetime, values: Mapping[str, float]) -> None:
        """Add one point to each named series; values that are not finite are left out."""
        self._put(
            "log_series", lambda: {**_of(model, version), "at": at.isoformat(), "values": _finite(values)}
        )

    def log_metrics(self, model: str, version: str, values: Mapping[str, float]) -> None:
        """Set single numbers of one version; values that are not finite are left out."""
        self._put("log_metrics", lambda: {**_of(model, version), "values": _finite(values)})

    def log_params(self, model: str, version: str, params: Mapping[str, Param]) -> None:
        """Set what a version was made from."""
        self._put("log_params", lambda: {**_of(model, version), "params": dict(params)})

    def log_files(self, model: str, version: str, files: Mapping[str, Path]) -> None:
        """Attach files; they are read later, so keep them until ``flush`` has come back."""
        self._put("log_files", lambda: {**_of(model, version), "files": _absolute(files)})

    def status(self) -> list[TrackerStatus]:
        """Return for each tracker its state, counts and last error, without secrets."""
        return [{"tracker": courier.name, **courier.status()} for courier in self._couriers]

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything is handed over, at most ``timeout_s`` for all; say whether that came true."""
        deadline = time.monotonic() + timeout_s
        return all(courier.flush(max(0.0, deadline - time.monotonic())) for courier in self._couriers)

    def close(self, timeout_s: float = 10.0) -> None:
        """Hand over what is queued, end all child processes, within about ``timeout_s`` for all."""
        for courier in self._couriers:
            courier.stop(timeout_s)
        for courier in self._couriers:
            courier.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, method: str, arguments: Callable[[], dict[str, Any]]) -> None:
        if not self._couriers:
            return
        try:
            call = Call(method, arguments())
            for courier in self._couriers:
                courier.put(call)
        except Exception:  # whatever is wrong with a metric, the caller's work must go on
            logger.exception("%s: this could not be handed to the trackers", method)


def _of(model: str, version: str) -> dict[str, Any]:
    return {"model": model, "version": str(version)}


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in values.items() if value is not None}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _absolute(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: str(Path(path).resolve()) for name, path in files.items()}


def _neptune(settings: TrackerSettings) -> Plan:
    folder = settings.state_dir.resolve() / "neptune"
    is_online = settings.neptune_api_token and settings.neptune_project and settings.neptune_mode != "offline"
    return Plan(
        "mlops.tracking.neptune_runs:open_tracker",
        {
            "folder": str(folder),
            "token": settings.neptune_api_token if is_online else None,
            "project": settings.neptune_project,
        },
        # The client's own limits are ten minutes a request; the courier does the retrying.
        {"NEPTUNE_REQUEST_TIMEOUT": "10", "NEPTUNE_RETRIES_TIMEOUT": "10"},
    )


def _mlflow(settings: TrackerSettings) -> Plan:
    state_dir = settings.state_dir.resolve()
    return Plan(
        "mlops.tracking.mlflow_runs:open_tracker",
        {
            "uri": settings.mlflow_tracking_uri or f"sqlite:///{state_dir / 'mlflow.db'}",
            "artifacts": (state_dir / "mlflow-artifacts").as_uri(),
        },
        {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # MLflow calls its file store deprecated and refuses it; who names a folder has decided.
            "MLFLOW_ALLOW_FILE_STORE": "true",
        },
    )


_PLANS: dict[str, Callable[[TrackerSettings], Plan]] = {"neptune": _neptune, "mlflow": _mlflow}
