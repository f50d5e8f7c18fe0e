"""Challengers that score what the champion was asked, from the log: by the hour, or over the last days.

Nothing here is on the path of a request. What a shadow said is kept as reports in ``shadow_reports``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops.registry import Registry
from model.spec import Spec
from utils.errors import ConflictError, UnavailableError
from utils.mongo.reports import ReportStore
from utils.mongo.rollouts import RolloutStore

if TYPE_CHECKING:
    from mlops.comparing import Comparison

# What a shadow catches up with at most, after its clock was away.
MAX_BEHIND = timedelta(days=7)


@dataclass(frozen=True)
class Shadows:
    """Runs shadows and keeps what they said."""

    registry: Registry
    rollouts: RolloutStore
    comparison: "Comparison"
    reports: ReportStore

    def begin(self, model: str, version: str, *, by: str, at: datetime) -> dict[str, Any]:
        """Have a version score the log from now on, by the clock.

        Raises NotFoundError if there is no such version, ConflictError if it answers already.
        """
        self._check(model, version)
        return self.rollouts.begin("shadow", model, version, by=by, at=at)

    def replay(self, spec: Spec, version: str, since: timedelta, at: datetime) -> dict[str, Any]:
        """Compare a version with the champion on what was logged lately; stored and returned."""
        champion = self._check(spec.name, version)
        return self._kept(self.comparison.report(spec, version, champion, at - since, at, "replay"), at)

    def scheduled(self, spec: Spec, at: datetime) -> str | None:
        """Compare a running shadow on what came since its last report; None where there is no shadow."""
        shadow, champion = self.rollouts.get("shadow", spec.name), self.registry.champion(spec.name)
        if shadow is None or champion in (None, shadow["version"]):
            return None
        last = self.reports.latest(spec.name, "shadow")
        is_same = last is not None and last["version"] == shadow["version"]
        start = max(last["window_end"] if last and is_same else shadow["at"], shadow["at"], at - MAX_BEHIND)
        if start >= at:
            return None
        report = self.comparison.report(spec, shadow["version"], str(champion), start, at, "shadow")
        return str(self._kept(report, at)["sentence"])

    def _kept(self, report: dict[str, Any], at: datetime) -> dict[str, Any]:
        report = report | {"checked_at": at}
        self.reports.replace(report)
        return report

    def _check(self, model: str, version: str) -> str:
        """Return the champion that a version is compared with."""
        champion = self.registry.champion(model)
        if champion is None:
            raise UnavailableError(f"{model!r} has no champion yet, so there is nothing to compare with.")
        self.registry.manifest(model, version)
        if version == champion:
            raise ConflictError(f"{model} {version} is the champion: it cannot be its own shadow.")
        return champion
