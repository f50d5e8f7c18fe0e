"""Alarms that start a training: which ones, when, and from when on rows are learnt.

Each alarm starts one training at most, and a model is not trained again too soon; the spec's section
``retrain`` says which alarms do. The training itself runs in a process of its own.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from model.spec import Cause, Spec
from utils.mongo.alerts import AlertStore
from utils.mongo.reports import ReportStore

if TYPE_CHECKING:
    from mlops.comparing import Comparison

log = logging.getLogger(__name__)

Alert = Mapping[str, Any]
CHECKS: Mapping[str, Cause] = {"concept_drift": "concept_drift", "quality": "quality", "drift": "data_drift"}
# Windows without a finding that may lie between two with one: chance lets some look well.
MAX_WELL_BETWEEN = 3
MAX_REPORTS = 400


class Train(Protocol):
    """Trains a model and returns what came of it, in a few words."""

    def __call__(self, model: str, *, since: datetime | None, because: str) -> str:
        """Train."""


@dataclass(frozen=True)
class Remedies:
    """Starts the trainings that open alarms ask for."""

    alerts: AlertStore
    reports: ReportStore
    comparison: "Comparison"
    train: Train

    def act(self, spec: Spec, at: datetime) -> str | None:
        """Train a model if an open alarm asks for it; returns what came of it, None where nothing was done.

        Parameters
        ----------
        spec : Spec
            As the file says it.
        at : datetime
            When the run was due.
        """
        asking = self._asking(spec, at)
        if not asking or self._is_too_soon(spec, at):
            return None
        # Concept drift says best since when older rows mislead; other alarms may have begun by chance before.
        telling = [alert for alert in asking if alert["check"] == "concept_drift"] or asking
        began_at = min(self._began_at(spec, alert) for alert in telling)
        n_labelled = self.comparison.n_labelled(spec.name, began_at, at)
        if n_labelled < spec.retrain.min_labels:
            log.info("%s waits to be trained: %d rows since %s have a label", spec.name, n_labelled, began_at)
            return None
        claimed = [alert for alert in asking if self.alerts.claim_training(alert["id"], at)]
        return self._trained(spec, claimed, began_at) if claimed else None

    def _trained(self, spec: Spec, claimed: Sequence[Alert], began_at: datetime) -> str:
        is_concept = any(alert["check"] == "concept_drift" for alert in claimed)
        rows = spec.retrain.rows or ("since_alarm" if is_concept else "all")
        because = ", ".join(sorted(alert["key"] for alert in claimed))
        outcome = self.train(spec.name, since=began_at if rows == "since_alarm" else None, because=because)
        for alert in claimed:
            self.alerts.note_training(alert["id"], outcome)
        return outcome

    def _asking(self, spec: Spec, at: datetime) -> list[Alert]:
        """Return open alarms of the causes that the spec names and that have not had their training."""
        return [
            alert
            for alert in self.alerts.list(spec.name, state="open")
            if CHECKS.get(alert.get("check", "")) in spec.retrain.on and _is_due(alert.get("training"), at)
        ]

    def _is_too_soon(self, spec: Spec, at: datetime) -> bool:
        since = at - timedelta(hours=spec.retrain.every_hours)
        past = [alert["training"]["due_at"] for alert in self.alerts.list(spec.name) if "training" in alert]
        return any(since < due_at < at for due_at in past)

    def _began_at(self, spec: Spec, alert: Alert) -> datetime:
        """Return the start of the first of the windows that led to an alarm."""
        opened_at: datetime = alert["opened_at"]
        if alert["check"] == "drift":
            return opened_at - timedelta(hours=spec.drift.window_hours)
        is_wrong = _has_gap if alert["check"] == "concept_drift" else _is_low
        reports = [
            one for one in self.reports.list(spec.name, MAX_REPORTS) if one["verdict"] in ("ok", "alarm")
        ]
        return onset(reports, is_wrong) or opened_at - timedelta(hours=spec.quality.window_hours)


def onset(
    reports: Sequence[Mapping[str, Any]], is_wrong: Callable[[Mapping[str, Any]], bool]
) -> datetime | None:
    """Return where the run of wrong windows begins that reaches up to now, None if there is none.

    Parameters
    ----------
    reports : sequence of mappings
        Newest first, with ``window_start``.
    """
    found, n_well = None, 0
    for report in reports:
        if is_wrong(report):
            found, n_well = report["window_start"], 0
        else:
            n_well += 1
        if n_well > MAX_WELL_BETWEEN:
            break
    return found


def _is_due(training: Mapping[str, Any] | None, at: datetime) -> bool:
    return training is None or (training["due_at"] == at and training["outcome"] is None)


def _deciding(report: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(one for one in report["versions"] if one["version"] == report["version"])


def _has_gap(report: Mapping[str, Any]) -> bool:
    gap = _deciding(report)["gap"]
    return bool(gap and gap["is_drift"])


def _is_low(report: Mapping[str, Any]) -> bool:
    part = _deciding(report)
    return bool(part["is_below_floor"] or part["is_below_training"])
