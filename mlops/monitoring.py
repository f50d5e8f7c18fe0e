"""One drift check of one model: count what is new, compare, store the report, tell trackers and people."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops.alerts import Alarms
from mlops.counting import Counter, References, hour_of
from mlops.drift_policy import Kind, policy_of
from mlops.tracking.fanout import Trackers
from model.monitoring.decision import decide
from model.monitoring.policy import Timeline
from model.monitoring.reference import ModelCounts, ModelReference
from model.monitoring.results import DriftResult
from model.monitoring.shapes import shapes
from model.spec import Spec
from utils.errors import UnavailableError
from utils.mongo.counts import CountStore
from utils.mongo.history import HistoryStore
from utils.mongo.reports import ReportStore
from utils.time import now

log = logging.getLogger(__name__)

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK_H = 168


@dataclass(frozen=True)
class Monitor:
    """Checks models; everything it needs is given, so a check runs the same from clock, page and shell."""

    counter: Counter
    counts: CountStore
    history: HistoryStore
    references: References
    reports: ReportStore
    trackers: Trackers
    alarms: Alarms

    def scheduled(self, spec: Spec, due_at: datetime) -> Mapping[str, Any] | None:
        """Check the hours that are complete at ``due_at``; None where the model has no champion yet."""
        entry = self.history.current(spec.name)
        if entry is None:
            return None
        return self._check(spec, entry["version"], hour_of(due_at), WEEK_H, "scheduled", due_at)

    def on_demand(self, spec: Spec) -> Mapping[str, Any]:
        """Check the last ``window_hours`` including the hour under way, as a single question.

        Raises UnavailableError where the model has no champion yet.
        """
        entry = self.history.current(spec.name)
        if entry is None:
            raise UnavailableError(f"{spec.name!r} has no champion yet, so there is nothing to compare with.")
        moment = now()
        end = hour_of(moment) + HOUR
        return self._check(spec, entry["version"], end, spec.drift.window_hours, "on_demand", moment)

    def _check(
        self, spec: Spec, version: str, end: datetime, n_hours: int, kind: Kind, at: datetime
    ) -> Mapping[str, Any]:
        self.counter.count_new()
        reference = self.references(spec.name, version)
        start = end - n_hours * HOUR
        timeline = self._timeline(reference, spec.name, version, start, end)
        result = decide(reference, timeline, policy_of(spec, kind))
        report = {
            "model": spec.name,
            "version": version,
            "kind": kind,
            "window_start": start,
            "window_end": end if kind == "scheduled" else at,
            "checked_at": at,
            **result.to_document(),
            "shapes": shapes(reference, reference.total(timeline.periods)),
        }
        if self.reports.add(report):
            self._tell(spec.name, version, result, at)
        return report

    def _timeline(
        self, reference: ModelReference, model: str, version: str, start: datetime, end: datetime
    ) -> Timeline:
        stored = self.counts.hours(model, version, start, end)
        hours = [start + i * HOUR for i in range((end - start) // HOUR)]
        nothing = reference.total([])
        periods = tuple(_counts(reference, stored[hour]) if hour in stored else nothing for hour in hours)
        return Timeline(periods, last=(end - EPOCH) // HOUR)

    def _tell(self, model: str, version: str, result: DriftResult, at: datetime) -> None:
        self.trackers.log_series(model, version, at, series(result))
        self.alarms.drift(model, version, result, at)
        level = logging.WARNING if result.is_drift else logging.INFO
        log.log(level, "drift check of %s %s: %s, %d rows", model, version, result.verdict, result.n_rows)


def _counts(reference: ModelReference, parts: Mapping[str, bytes]) -> ModelCounts:
    return reference.counts_from(parts)


def series(result: DriftResult) -> dict[str, float]:
    """Return what a check adds to the trackers' series, by name."""
    found = {"drift/rows": float(result.n_rows), "drift/is_drift": float(result.is_drift)}
    for check in result.features:
        place = f"drift/{check.feature}" if check.role == "feature" else f"prediction_drift/{check.feature}"
        values = {"statistic": check.statistic, "p_value": check.p_value, "effect": check.effect}
        values |= {"n": float(check.n), "threshold": check.threshold}
        found |= {f"{place}/{name}": value for name, value in values.items() if value is not None}
    return found
