"""Quality checks: windows of logged answers joined with their labels, measured, reported, told.

A window is measured again whenever a label of one of its predictions arrives, however late. Its report has a
part for each version that answered in it.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from mlops.alerts import Alarms, Confirmation, Finding
from mlops.tracking.fanout import Trackers
from model import quality
from model.artifact import Manifest
from model.evaluation import ERRORS
from model.expectation import Expectation
from model.gate import deciding_metric
from model.labels import LabelReader, UnknownLabelError
from model.quality import Answers, Gap
from model.spec import Spec
from utils.errors import VigiaError
from utils.mongo.history import HistoryStore
from utils.mongo.labels import LabelStore
from utils.mongo.predictions import PredictionStore
from utils.mongo.reports import ReportStore
from utils.time import now

log = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BATCH = 5_000
FIELDS = ("version", "at", "prediction", "probability")
KIND = "scheduled"
# Reports among which the newest one with enough labels is looked for: labels may be weeks late.
MAX_REPORTS = 400

Row = Mapping[str, Any]


@dataclass(frozen=True)
class VersionParts:
    """What is needed of a version: its manifest, its spec, and what to expect of it."""

    manifest: Manifest
    spec: Spec
    expectation: Expectation | None


@dataclass(frozen=True)
class QualityMonitor:
    """Measures models; everything it needs is given, so a check runs the same from clock and shell."""

    predictions: PredictionStore
    labels: LabelStore
    history: HistoryStore
    version: Callable[[str, str], VersionParts]
    reports: ReportStore
    trackers: Trackers
    alarms: Alarms

    def scheduled(self, specs: Sequence[Spec], since: datetime, at: datetime) -> dict[str, str]:
        """Measure the windows that labels of [since, at) touch and the last complete one of each model.

        Returns the newest verdict of each model that has one.
        """
        touched = self._touched(specs, since, at)
        return {spec.name: self._check(spec, touched[spec.name] | {_last(spec, at)}, at) for spec in specs
                if self.history.current(spec.name) is not None}  # fmt: skip

    def on_demand(self, spec: Spec, n_windows: int) -> Mapping[str, Any] | None:
        """Measure the last windows of a model, that under way included; return the newest with labels."""
        at, length = now(), _length(spec)
        newest = _start(at, length)
        self._check(spec, {newest - i * length for i in range(n_windows)}, at)
        return self._deciding_report(spec.name) or self.reports.latest(spec.name, KIND)

    def _touched(self, specs: Sequence[Spec], since: datetime, at: datetime) -> dict[str, set[datetime]]:
        lengths = {spec.name: _length(spec) for spec in specs}
        found: dict[str, set[datetime]] = {spec.name: set() for spec in specs}
        for part in _parts(self.labels.changed(since, at)):
            for row in self.predictions.by_ids(part, fields=("model", "at")).values():
                if row["model"] in lengths:
                    found[row["model"]].add(_start(row["at"], lengths[row["model"]]))
        return found

    def _check(self, spec: Spec, starts: Iterable[datetime], at: datetime) -> str:
        for start in sorted(starts):
            report = self._report(spec, start, start + _length(spec), at)
            if report["n_rows"]:
                self.reports.replace(report)
        newest = self._deciding_report(spec.name)
        if newest is None:
            return "no labels"
        self._tell(spec, newest, at)
        return str(newest["verdict"])

    def _deciding_report(self, model: str) -> Mapping[str, Any] | None:
        """Return the report of the newest window that had labels enough to say anything."""
        reports = self.reports.list(model, MAX_REPORTS, kind=KIND)
        return next((one for one in reports if one["verdict"] in ("ok", "alarm")), None)

    def _report(self, spec: Spec, start: datetime, end: datetime, at: datetime) -> dict[str, Any]:
        rows = list(self.predictions.window(spec.name, start, end, fields=FIELDS))
        labels: dict[str, Row] = {}
        for part in _parts([row["_id"] for row in rows]):
            labels |= self.labels.documents(part)
        versions = sorted({row["version"] for row in rows})
        found = [self._part(spec, v, [r for r in rows if r["version"] == v], labels) for v in versions]
        parts = [part for part in found if part is not None]
        deciding = max(parts, key=lambda part: int(part["n_labelled"]), default=None)
        n_labelled = sum(int(part["n_labelled"]) for part in parts)  # what nobody can read is no truth
        return {
            "model": spec.name,
            "kind": KIND,
            "window_start": start,
            "window_end": end,
            "checked_at": at,
            "n_rows": len(rows),
            "n_labelled": n_labelled,
            "coverage": n_labelled / len(rows) if rows else None,
            "delay_hours": _delay(rows, labels),
            "version": deciding["version"] if deciding else None,
            "verdict": deciding["verdict"] if deciding else "no labels",
            "sentence": deciding["sentence"] if deciding else "There are no rows.",
            "versions": parts,
        }

    def _part(
        self, spec: Spec, version: str, rows: Sequence[Row], labels: Mapping[str, Row]
    ) -> dict[str, Any] | None:
        try:
            known = self.version(spec.name, version)
        except VigiaError as error:
            log.warning("quality of %s %s cannot be measured: %s", spec.name, version, error.detail)
            return None
        answers, n_unreadable = read_answers(known.spec, rows, labels)
        threshold = known.manifest.threshold
        measured = quality.measure(known.spec, answers, threshold, _usual_error(known.manifest))
        expected = quality.expect(known.spec, answers, threshold, known.expectation)
        judged = _Judged.of(spec, known, answers, measured.metrics, measured.n_rows)
        return {
            "version": version,
            "n_rows": len(rows),
            "n_labelled": measured.n_rows,
            "n_unreadable": n_unreadable,
            "metrics": measured.metrics,
            "confusion": measured.confusion,
            "classes": list(known.spec.class_names) or None,
            "calibration": measured.calibration,
            "threshold": threshold if measured.scores else None,
            "scores": measured.scores,
            "bias": measured.bias,
            "residuals": measured.residuals,
            "by_answer": measured.by_answer,
            "estimated": expected.metrics if expected else None,
            "gap": asdict(judged.gap) if judged.gap else None,
            **judged.document(),
        }

    def _tell(self, spec: Spec, report: Mapping[str, Any], at: datetime) -> None:
        part = next(one for one in report["versions"] if one["version"] == report["version"])
        confirmation = Confirmation(spec.quality.alert_after or 1, spec.quality.alert_of or 1)
        self.alarms.tell(spec.name, report["version"], findings(spec, report, part), at, confirmation)
        values = {f"quality/{n}": m["value"] for n, m in part["metrics"].items() if m["value"] is not None}
        values["quality/labelled"] = float(part["n_labelled"])
        self.trackers.log_series(spec.name, report["version"], report["window_end"], values)
        level = logging.WARNING if report["verdict"] == "alarm" else logging.INFO
        log.log(level, "quality of %s %s: %s", spec.name, report["version"], report["sentence"])


@dataclass(frozen=True)
class _Judged:
    """What the watched metric of one version says in one window."""

    metric: str
    value: float | None
    training: float | None
    is_below_floor: bool
    is_below_training: bool
    has_enough: bool
    n_labelled: int
    gap: Gap | None

    @classmethod
    def of(
        cls, spec: Spec, known: VersionParts, answers: Answers, metrics: Mapping[str, Any], n_labelled: int
    ) -> "_Judged":
        rule = spec.quality
        metric = rule.metric or deciding_metric(known.spec)
        if metric not in metrics and metrics:
            metric = next(iter(metrics))
        found = metrics.get(metric, {})
        value, training = found.get("value"), known.manifest.metrics.get(metric)
        n_held_out = known.manifest.trained_on.n_held_out
        has_enough = n_labelled >= rule.min_labels
        return cls(
            metric,
            value,
            training,
            value is not None and rule.floor is not None and _is_worse(metric, value, rule.floor),
            quality.is_below_training(metric, found, training, n_labelled, n_held_out),
            has_enough,
            n_labelled,
            quality.gap(known.spec, metric, answers, known.manifest.threshold, known.expectation)
            if has_enough
            else None,
        )

    @property
    def verdict(self) -> str:
        if not self.has_enough:
            return "too few labels" if self.n_labelled else "no labels"
        is_drift = self.gap is not None and self.gap.is_drift
        return "alarm" if self.is_below_floor or self.is_below_training or is_drift else "ok"

    @property
    def sentence(self) -> str:
        if self.value is None:
            return "There are no labels yet."
        training = "" if self.training is None else f", {self.training:.4g} at training"
        return f"{self.metric} {self.value:.4g} on {self.n_labelled} labelled rows{training}."

    def document(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "is_below_floor": self.is_below_floor and self.has_enough,
            "is_below_training": self.is_below_training and self.has_enough,
            "verdict": self.verdict,
            "sentence": self.sentence,
        }


def findings(spec: Spec, report: Mapping[str, Any], part: Mapping[str, Any]) -> list[Finding]:
    """Return what a report says about the watched metric, and about the gap to its estimate."""
    metric = part["metric"]
    window = f"{report['window_start']:%Y-%m-%d %H:%M} to {report['window_end']:%Y-%m-%d %H:%M} UTC"
    rows = (
        f"{part['n_labelled']} of {part['n_rows']} rows of version {part['version']} have a label, {window}."
    )
    is_low = part["is_below_floor"] or part["is_below_training"]
    floor = "" if spec.quality.floor is None else f" Floor: {spec.quality.floor:g}."
    facts = {"metric": metric, **part["metrics"].get(metric, {}), "n": part["n_labelled"]}
    found = [
        Finding(
            key=f"quality/{metric}",
            check="quality",
            subject=f"Low {metric}",
            sentence=part["sentence"] + floor,
            text=(rows, "Retrain on the labelled rows, or roll back if an earlier version was better."),
            is_wrong=is_low,
            found=facts,
        )
    ]
    gap = part["gap"]
    if gap is not None:
        sentence = (
            f"{metric} {gap['realised']:.4g}, {gap['estimated']:.4g} was to be expected of these inputs."
        )
        found.append(
            Finding(
                key=f"concept_drift/{metric}",
                check="concept_drift",
                subject="Concept drift",
                sentence=sentence,
                text=(
                    rows,
                    "The target depends on the features in another way than at training: retrain on"
                    " the newest labelled rows.",
                ),
                is_wrong=gap["is_drift"],
                found=facts | gap,
            )
        )
    return found


def read_answers(spec: Spec, rows: Sequence[Row], labels: Mapping[str, Row]) -> tuple[Answers, int]:
    """Return logged rows that have an answer as numbers, and how many labels cannot be read."""
    reader = LabelReader(spec)
    rows = [row for row in rows if row["prediction"] is not None]
    unknown = spec.target.unknown  # such as a revenue of 0, that stands for "not known"
    given = {one: label["label"] for one, label in labels.items() if label["label"] not in unknown}
    read = [_read(reader, given[row["_id"]]) if row["_id"] in given else np.nan for row in rows]
    n_unreadable = sum(value is None for value in read)
    chosen = np.array([_read(reader, row["prediction"]) for row in rows], dtype=np.float64)
    y_true = np.array([np.nan if value is None else value for value in read], dtype=np.float64)
    probability = None
    if spec.task == "classification":
        probability = np.array([row["probability"] for row in rows], dtype=np.float64)
    return Answers(chosen, probability, y_true), n_unreadable


def _read(reader: LabelReader, value: Any) -> float | None:
    try:
        return reader.read(value)
    except UnknownLabelError:
        return None


def _usual_error(manifest: Manifest) -> float | None:
    """Return how far the answers of a version lay from the truth at training, as far as that was measured."""
    return manifest.metrics.get("mae") or manifest.metrics.get("rmse")


def _is_worse(metric: str, value: float, other: float) -> bool:
    return value > other if metric in ERRORS else value < other


def _delay(rows: Sequence[Row], labels: Mapping[str, Row]) -> dict[str, float] | None:
    """Return median and 90 % of the hours from answer to first label."""
    hours = [(_first_at(labels[row["_id"]]) - row["at"]) / timedelta(hours=1)
             for row in rows if row["_id"] in labels]  # fmt: skip
    if not hours:
        return None
    median, p90 = np.quantile(hours, [0.5, 0.9])
    return {"median": float(median), "p90": float(p90)}


def _first_at(label: Row) -> datetime:
    instants: list[datetime] = [label["at"], *(old["at"] for old in label.get("history", ()))]
    return min(instants)


def _length(spec: Spec) -> timedelta:
    return timedelta(hours=spec.quality.window_hours)


def _start(at: datetime, length: timedelta) -> datetime:
    """Return the start of the window that ``at`` is in; windows are counted from 1970."""
    return EPOCH + (at - EPOCH) // length * length


def _last(spec: Spec, at: datetime) -> datetime:
    return _start(at, _length(spec)) - _length(spec)


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
