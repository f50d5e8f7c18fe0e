"""The port that every tracker fills: four ways to log and one to close. It knows no tracker and no process.

``mlops.tracking.neptune_runs`` and ``mlops.tracking.mlflow_runs`` fill it in child processes;
``mlops.tracking.fanout.Trackers`` fills it for the callers and, with no tracker named, does nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from utils.errors import VigiaError

Param = str | int | float | bool

Notify = Callable[[str], None]
"""How a tracker tells the operator something once, such as that it writes offline."""


class TrackerError(VigiaError):
    """A tracker's process refused a call, did not answer in time, or ended."""

    code = "tracker"
    title = "Tracker failed"


class Tracker(Protocol):
    """A place for metrics. The series of one model go to one long-lived run; the rest to its versions."""

    def log_series(self, model: str, version: str, at: datetime, values: Mapping[str, float]) -> None:
        """Add one point at ``at`` to each named series of the model.

        Parameters
        ----------
        model, version : str
            The model and the version that was live.
        at : datetime
            Aware instant of the check; also the step (whole seconds since 1970), so that a point that is sent
            twice is the same point.
        values : mapping of str to float
            For example ``drift/tempo/statistic``, ``drift/tempo/p_value``, ``drift/tempo/effect``,
            ``drift/tempo/n``, ``quality/roc_auc``. All finite.
        """

    def log_metrics(self, model: str, version: str, values: Mapping[str, float]) -> None:
        """Set single numbers of one version (or experiment), such as its held-out ``roc_auc``."""

    def log_params(self, model: str, version: str, params: Mapping[str, Param]) -> None:
        """Set what a version (or experiment) was made from, such as ``n_trees``."""

    def log_files(self, model: str, version: str, files: Mapping[str, Path]) -> None:
        """Attach files, such as pictures of curves; keys are names, values paths that must stay readable."""

    def close(self) -> None:
        """Hand over what is still held and let go."""
