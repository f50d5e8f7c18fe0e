"""One drift check of one model: count what is new, compare, store the report, tell trackers and people."""

import logging
from collections import Counter as Counted
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops.alerts import AT_ONCE, Alarms
from mlops.baselines import SEASONS, Baseline, Baselines
from mlops.counting import Counter, References, hour_of, warnings_in
from mlops.drift_policy import Kind, confirmation_of, policy_of
from mlops.explaining import columns_named, explained
from mlops.seasons import decide_in_season
from mlops.tracking.fanout import Trackers
from model.monitoring.activity import silence_limit, volume
from model.monitoring.decision import decide
from model.monitoring.ladder import history_needed
from model.monitoring.policy import Policy, Timeline
from model.monitoring.reference import ModelReference
from model.monitoring.results import DriftResult
from model.monitoring.shapes import shapes
from model.monitoring.stacked import Stacked
from model.spec import Spec
from utils.errors import UnavailableError
from utils.mongo.counts import CountStore, Parts
from utils.mongo.history import HistoryStore
from utils.mongo.predictions import PredictionStore
from utils.mongo.rejections import RejectionStore
from utils.mongo.reports import ReportStore
from utils.time import now

log = logging.getLogger(__name__)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REASONS_SHOWN = 50
SAMPLED = 300  # newest rows of a window, of which the most telling are shown
USUAL_DAYS, HOURS_A_DAY = 28, 24


@dataclass(frozen=True)
class Monitor:
    """Checks models; everything it needs is given, so a check runs the same from clock, page and shell."""

    counter: Counter
    counts: CountStore
    history: HistoryStore
    references: References
    baselines: Baselines
    predictions: PredictionStore
    reports: ReportStore
    trackers: Trackers
    alarms: Alarms
    rejections: RejectionStore

    def scheduled(self, spec: Spec, due_at: datetime) -> Mapping[str, Any] | None:
        """Check the hours that are complete at ``due_at``; None where the model has no champion yet."""
        entry = self.history.current(spec.name)
        if entry is None:
            return None
        n_hours = history_needed(Policy().periods_per_month)
        return self._check(spec, entry["version"], hour_of(due_at), n_hours, "scheduled", due_at)

    def on_demand(self, spec: Spec) -> Mapping[str, Any]:
        """Check the last ``window_hours`` including the hour under way, as a single question.

        Raises UnavailableError where the model has no champion yet.
        """
        moment = now()
        end = hour_of(moment) + HOUR
        return self._check(spec, self.champion(spec), end, spec.drift.window_hours, "on_demand", moment)

    def champion(self, spec: Spec) -> str:
        """Return the version that answers. Raises UnavailableError where there is none yet."""
        entry = self.history.current(spec.name)
        if entry is None:
            raise UnavailableError(f"{spec.name!r} has no champion yet, so there is nothing to compare with.")
        return str(entry["version"])

    def accept(
        self, spec: Spec, window: tuple[datetime, datetime], *, reason: str, by: str
    ) -> dict[str, Any]:
        """Take a window of the champion for normal from now on; raises as ``Baselines.accept`` does."""
        version = self.champion(spec)
        self.counter.count_new()
        learnt = self.references(spec.name, version)
        return self.baselines.accept(spec, version, learnt, window, reason=reason, by=by)

    def _check(
        self, spec: Spec, version: str, end: datetime, n_hours: int, kind: Kind, at: datetime
    ) -> Mapping[str, Any]:
        self.counter.count_new()
        learnt = self.references(spec.name, version)
        baseline = self.baselines.of(spec, version, learnt, end)
        start = end - n_hours * HOUR
        stored = self.counts.hours(spec.name, version, start, end)
        timeline = timeline_of(learnt, stored, start, end)
        result = self._decided(spec, version, baseline, timeline, kind, end)
        report = {
            "model": spec.name,
            "version": version,
            "kind": kind,
            "window_start": start,
            "window_end": end if kind == "scheduled" else at,
            "checked_at": at,
            "reference": baseline.to_document(),
            **result.to_document(),
            "alarms": self._explained(spec.name, version, result, baseline.reference, timeline.last),
            "activity": self._activity(spec.name, end) if kind == "scheduled" else [],
            "warnings": reasons(warnings_in(stored.values())),
            "rejections": reasons(self.rejections.counts(spec.name, start, end)),
            "shapes": shapes(baseline.reference, timeline.stacked.total()),
        }
        if self.reports.add(report):
            self._tell(spec, version, result, report, at)
        return report

    def _decided(
        self, spec: Spec, version: str, baseline: Baseline, timeline: Timeline, kind: Kind, end: datetime
    ) -> DriftResult:
        policy = replace(policy_of(spec, kind), design_effects=baseline.effects)
        if spec.drift.season == "none" or policy.name != "margin":
            return decide(baseline.reference, timeline, policy)
        usual = self.baselines.same_phase(spec, version, baseline.reference, end - HOUR)
        return decide_in_season(baseline.reference, usual, timeline, policy, SEASONS[spec.drift.season])

    def _explained(
        self, model: str, version: str, result: DriftResult, reference: ModelReference, last: int
    ) -> list[dict[str, Any]]:
        def newest(start: datetime, end: datetime, name: str) -> list[tuple[str, Any]]:
            fields = [name[1:]] if name.startswith("@") else ["features"]
            rows = self.predictions.newest(model, version, start, end, SAMPLED, fields)
            value = columns_named(name)
            return [(row["_id"], value(row)) for row in rows]

        return explained(model, result, reference, last, newest)

    def _activity(self, model: str, end: datetime) -> list[dict[str, Any]]:
        """Compare the rows of the last hour with those of the same hour on the days before, all versions."""
        start = end - USUAL_DAYS * DAY
        rows: Counted[datetime] = Counted()
        for hour in self.counts.traffic(model, start, end):
            rows[hour["hour"]] += hour["n_rows"]
        if not rows:
            return []
        known = [min(rows) + i * HOUR for i in range((end - min(rows)) // HOUR)]
        return activity_of([rows[hour] for hour in known])

    def _tell(
        self, spec: Spec, version: str, result: DriftResult, report: Mapping[str, Any], at: datetime
    ) -> None:
        model, confirmation = spec.name, confirmation_of(spec)
        if report["kind"] == "on_demand":
            confirmation = AT_ONCE
        self.trackers.log_series(model, version, at, series(result))
        self.alarms.drift(model, version, result, at, report["alarms"], confirmation)
        self.alarms.activity(model, version, report["activity"], at)
        level = logging.WARNING if result.is_drift else logging.INFO
        log.log(level, "drift check of %s %s: %s, %d rows", model, version, result.verdict, result.n_rows)


def timeline_of(
    reference: ModelReference, stored: Mapping[datetime, Parts], start: datetime, end: datetime
) -> Timeline:
    """Return the hours of [start, end), those without rows too."""
    hours = [start + i * HOUR for i in range((end - start) // HOUR)]
    matrices = reference.matrices_from([stored.get(hour) for hour in hours])
    return Timeline(Stacked(len(hours), matrices, reference.layouts), last=(end - EPOCH) // HOUR - 1)


def reasons(found: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return reasons of warnings or refusals with their rows, the most frequent first."""
    frequent = Counted(found).most_common(REASONS_SHOWN)
    return [{"reason": reason, "n_rows": n_rows} for reason, n_rows in frequent]


def activity_of(rows: Sequence[int]) -> list[dict[str, Any]]:
    """Judge the newest of successive hours by their rows: fewer than usual at this hour, and silence."""
    usual = volume(rows[-1], rows[-1 - HOURS_A_DAY :: -HOURS_A_DAY])
    found = [{"check": "volume", "verdict": usual.verdict, "sentence": usual.sentence}]
    n_silent = next((back for back, n_rows in enumerate(reversed(rows)) if n_rows), len(rows))
    limit = silence_limit(rows[: len(rows) - n_silent])
    if limit is None:
        return found
    verdict = "drift" if n_silent > limit else "ok"
    sentence = f"no row for {n_silent} hours; {limit} are still usual"
    return [*found, {"check": "silence", "verdict": verdict, "sentence": sentence}]


def series(result: DriftResult) -> dict[str, float]:
    """Return what a check adds to the trackers' series, by name."""
    found = {"drift/rows": float(result.n_rows), "drift/is_drift": float(result.is_drift)}
    for check in result.features:
        place = f"drift/{check.feature}" if check.role == "feature" else f"prediction_drift/{check.feature}"
        values = {"statistic": check.statistic, "p_value": check.p_value, "effect": check.effect}
        values |= {"n": float(check.n), "threshold": check.threshold}
        found |= {f"{place}/{name}": value for name, value in values.items() if value is not None}
    return found
