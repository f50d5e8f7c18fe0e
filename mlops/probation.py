"""A new champion on probation: the one before it comes back if it is right more often on the same rows.

The old champion scores what the new one has answered since its promotion. Only rows with a label count, both
are measured on the same ones, and neither has learnt from them. So a world that became harder takes nobody
back, only a champion that is worse than the one before would be now. Each look is at twice as many labels as
the last, so there are few, and each asks for more than one chance in a thousand.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from mlops.alerts import Alarms, Finding
from mlops.registry import Registry, earlier_champions
from model.spec import Spec
from utils.mongo.history import HistoryStore
from utils.mongo.reports import ReportStore

if TYPE_CHECKING:
    from mlops.comparing import Comparison

log = logging.getLogger(__name__)

MAX_CHANCE = 0.001
GROWTH = 2
ADVICE = (
    "Requests are answered by the earlier version again. Look at what the other one learnt from before"
    " it is promoted again; `rollback: {days: 0}` in the spec turns this off.",
)


@dataclass(frozen=True)
class Probation:
    """Watches new champions."""

    registry: Registry
    history: HistoryStore
    comparison: "Comparison"
    reports: ReportStore
    alarms: Alarms

    def check(self, spec: Spec, at: datetime) -> str | None:
        """Take a champion back if the one before is better; returns what was found, None without a look."""
        entries = self.history.all(spec.name)
        newest, earlier = (entries[-1] if entries else None), earlier_champions(entries)
        if newest is None:
            return None
        report = None
        if earlier and _is_on_probation(spec, newest, at):
            report = self._look(spec, newest["version"], earlier[0], newest["at"], at)
        if report is not None and _is_worse(spec, report):
            self._take_back(spec.name, newest["version"], earlier[0], report["gate"]["sentence"], at)
            return f"{newest['version']} taken back"
        self._tell(spec.name, newest, "", at)
        return None if report is None else f"{newest['version']} stays"

    def _look(
        self, spec: Spec, version: str, before: str, start: datetime, at: datetime
    ) -> dict[str, Any] | None:
        last = self.reports.latest(spec.name, "probation")
        wanted = spec.rollback.min_labels
        if last is not None and last["champion"] == version and last["window_start"] == start:
            wanted = max(wanted, GROWTH * last["n_labelled"])
        if self.comparison.n_labelled(spec.name, start, at) < wanted:
            return None
        # The old one is the challenger here: it must prove that it is better.
        rule = msgspec.structs.replace(spec.promotion, margin=0.0)
        judged = msgspec.structs.replace(spec, promotion=rule)
        report = self.comparison.report(judged, before, version, start, at, "probation", only_labelled=True)
        report |= {"checked_at": at}
        self.reports.replace(report)
        return report

    def _take_back(self, model: str, version: str, before: str, sentence: str, at: datetime) -> None:
        reason = f"automatic: {before} does better than {version} on what was answered since. {sentence}"
        entry = self.registry.rollback(model, before, reason=reason, by="clock")
        log.warning("%s: %s is champion again, %s", model, before, reason)
        self._tell(model, entry, f"{before} answers again in place of {version}. {sentence}", at)

    def _tell(self, model: str, entry: Mapping[str, Any], sentence: str, at: datetime) -> None:
        finding = Finding(
            key="rollback",
            check="rollback",
            subject="Champion taken back",
            sentence=sentence or "No champion was taken back.",
            text=ADVICE,
            is_wrong=bool(sentence),
            found={"version": entry["version"]},
        )
        self.alarms.tell(model, entry["version"], [finding], at)


def _is_on_probation(spec: Spec, entry: Mapping[str, Any], at: datetime) -> bool:
    is_young: bool = entry["at"] > at - timedelta(days=spec.rollback.days)
    return entry["action"] == "promote" and is_young


def _is_worse(spec: Spec, report: Mapping[str, Any]) -> bool:
    """Tell whether the version before did better than the champion by the rule."""
    found = report["gate"]
    if found is None or found["verdict"] != "better":
        return False
    return bool(found["chance"] <= MAX_CHANCE and found["low"] > spec.rollback.margin)
