"""How a model stands, in what a page shows at a look: alive, drifting, still good, what changed, what to do.

Reads counts and reports; of the rows themselves the newest few only. Light.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from mlops.services import Services
from utils.errors import UnavailableError
from utils.time import now

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TRAFFIC_H = 48
CHANGES_DAYS = 14
N_LATENCIES = 400
N_REPORTS = 40
DECIDED = ("ok", "alarm")

Document = dict[str, Any]
State = Literal["good", "bad", "warn", "quiet"]


@dataclass(frozen=True)
class Latency:
    """How long the newest rows took, in milliseconds: the middle one, and that which 5 % exceed."""

    median_ms: float
    p95_ms: float
    n_rows: int


@dataclass(frozen=True)
class Change:
    """Something that happened: ``what`` is a word for it, ``subject`` what it happened to."""

    at: datetime
    what: Literal["promote", "rollback", "opened", "resolved"]
    subject: str
    detail: str = ""


@dataclass(frozen=True)
class Step:
    """Something to do: ``what`` is a word for it, ``feature`` what it is about."""

    what: str
    feature: str = ""


@dataclass(frozen=True)
class Standing:
    """One model at one moment; without MongoDB, what this process knows by itself (``is_away``)."""

    model: Document
    at: datetime
    is_away: bool = False
    champion: Document | None = None
    report: Document | None = None
    quality: Document | None = None
    quality_part: Document | None = None
    alerts: Sequence[Document] = ()
    traffic: Sequence[Document] = ()
    latency: Latency | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    history: Sequence[Document] = ()

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.model["name"])

    @property
    def n_day(self) -> int:
        """Rows of the last 24 hours."""
        return sum(one["n_rows"] for one in self.traffic if one["hour"] > self.at - DAY)

    @property
    def n_rejected(self) -> int:
        """Faults of rows that were refused in the last 24 hours."""
        return sum(self.rejected.values())

    @property
    def open_alerts(self) -> list[Document]:
        """Alerts that are open now."""
        return [one for one in self.alerts if one["state"] == "open"]

    @property
    def life(self) -> tuple[State, str]:
        """Whether it answers."""
        if self.model["version"] is None:
            return "quiet", "no_version"
        if any(one.get("check") == "activity" for one in self.open_alerts):
            return "warn", "silent"
        return ("good", "answers") if self.n_day or self.is_away else ("quiet", "unasked")

    @property
    def drift(self) -> tuple[State, str]:
        """Whether it drifts."""
        if self.report is None:
            return "quiet", "unchecked"
        states: dict[str, tuple[State, str]] = {"drift": ("bad", "drift"), "ok": ("good", "no_drift")}
        return states.get(self.report["verdict"], ("quiet", "few_rows"))

    @property
    def goodness(self) -> tuple[State, str]:
        """Whether it is still good."""
        if self.quality is None:
            return "quiet", "no_labels"
        return ("good", "good") if self.quality["verdict"] == "ok" else ("bad", "worse")

    @property
    def changes(self) -> list[Change]:
        """What happened of late, the newest first."""
        found = [Change(one["at"], one["action"], one["version"], one["reason"]) for one in self.history]
        for alert in self.alerts:
            subject = alert.get("subject") or alert["key"]
            found.append(Change(alert["opened_at"], "opened", subject, alert["sentence"]))
            if alert["resolved_at"] is not None:
                found.append(Change(alert["resolved_at"], "resolved", subject))
        recent = [one for one in found if one.at > self.at - CHANGES_DAYS * DAY]
        return sorted(recent, key=lambda one: one.at, reverse=True)

    @property
    def steps(self) -> list[Step]:
        """What to do, the most pressing first; nothing where all is well."""
        if self.model["version"] is None:
            return [Step("train")]
        order = ("see_log", "restore", "ask_clients", "retrain", "look", "mend")
        found = sorted((step_of(one) for one in self.open_alerts), key=lambda step: order.index(step.what))
        if self.quality is None and self.n_day:
            found.append(Step("label"))
        return list(dict.fromkeys(found))


WHAT_FOR = {
    "failed": "see_log",
    "integrity": "restore",
    "activity": "ask_clients",
    "quality": "retrain",
    "concept_drift": "retrain",
}


def step_of(alert: Mapping[str, Any]) -> Step:
    """Return what to do about an alert."""
    found = alert.get("found") or {}
    feature = str(found.get("feature", ""))
    if (what := WHAT_FOR.get(str(alert.get("check")))) is not None:
        return Step(what, feature)
    is_distribution = found.get("check") in (None, "distribution", "agreement")
    return Step("look" if is_distribution else "mend", feature)


def standing(services: Services, model: str) -> Standing:
    """Return how a model stands now. Raises NotFoundError for an unknown one."""
    at = now()
    described = services.describe(model)
    try:
        return Standing(described, at, **_stored(services, model, at))
    except UnavailableError:
        return Standing(described, at, is_away=True)


def _stored(services: Services, model: str, at: datetime) -> Document:
    reports = services.quality_reports.list(model, N_REPORTS)
    quality = next((one for one in reports if one["verdict"] in DECIDED), None)
    return {
        "champion": services.history.current(model),
        "report": services.drift_reports.newest(model),
        "quality": quality,
        "quality_part": part_of(quality),
        "alerts": services.alerts.list(model, limit=50),
        "traffic": traffic(services, model, at, TRAFFIC_H),
        "latency": latency(services.predictions.latencies(model, N_LATENCIES)),
        "rejected": services.rejected.counts(model, at - DAY, at),
        "history": services.history.all(model),
    }


def part_of(report: Mapping[str, Any] | None) -> Document | None:
    """Return what a quality report says of the version that decided."""
    if report is None:
        return None
    return next((one for one in report["versions"] if one["version"] == report["version"]), None)


def traffic(services: Services, model: str, at: datetime, n_hours: int) -> list[Document]:
    """Return ``hour``, ``version`` and ``n_rows`` of the hours until now.

    From the counts as far as these go, which is cheap at any size; what came since is looked up in the log.
    """
    start = at.replace(minute=0, second=0, microsecond=0) - (n_hours - 1) * HOUR
    counted_to = services.counts.last_hour(model)
    fresh_from = start if counted_to is None else max(start, counted_to)
    counted = services.counts.traffic(model, start, fresh_from) if counted_to else []
    return [*counted, *services.predictions.traffic(model, fresh_from)]


def latency(values_ms: Sequence[float]) -> Latency | None:
    """Return the middle and the 95 % point of some latencies, None of none.

    >>> latency([1.0, 2.0, 9.0])
    Latency(median_ms=2.0, p95_ms=9.0, n_rows=3)
    """
    if not values_ms:
        return None
    ordered = sorted(values_ms)
    p95 = ordered[min(len(ordered) - 1, math.ceil(0.95 * len(ordered)) - 1)]
    return Latency(ordered[len(ordered) // 2], p95, len(ordered))
