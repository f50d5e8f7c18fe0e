"""What a drift check compares with: training, or what production was at a time that the spec or a person
chose; and how much rows of production depend on each other.

All of it is counts in the cells of training, so nothing is read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from model.monitoring.dependence import design_effects
from model.monitoring.reference import ModelCounts, ModelReference
from model.spec import Spec
from utils.errors import NotFoundError, VigiaError
from utils.mongo.counts import CountStore
from utils.mongo.normals import NormalStore
from utils.time import now

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
MIN_ROWS = 500  # fewer say too little about what is normal
SEASONS = {"day": 24, "week": 168}
N_SEASONS = {"day": 28, "week": 8}


class TooFewRowsError(VigiaError):
    """A window that is too small to be a reference."""

    status = 422
    code = "too_few_rows"
    title = "Too few rows"


@dataclass(frozen=True)
class Baseline:
    """A reference, where it comes from, and how many rows tell as much as one independent row."""

    reference: ModelReference
    kind: str = "training"
    start: datetime | None = None
    end: datetime | None = None
    note: str = ""
    effects: Mapping[str, float] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return what a report says of it."""
        return {
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "n_rows": self.reference.counts.n_rows,
            "note": self.note,
        }


@dataclass(frozen=True)
class Baselines:
    """Finds the baseline of a check."""

    counts: CountStore
    normals: NormalStore
    _learnt: dict[tuple[str, str, int], Mapping[str, float]] = field(default_factory=dict)

    def of(self, spec: Spec, version: str, learnt: ModelReference, end: datetime) -> Baseline:
        """Return what a check at ``end`` compares with; ``learnt`` is what the version knows of training."""
        found = self._accepted(spec, version, learnt) or self._chosen(spec, version, learnt, end)
        return replace(found, effects=self._effects(spec, version, learnt, end))

    def _accepted(self, spec: Spec, version: str, learnt: ModelReference) -> Baseline | None:
        act = self.normals.current(spec.name)
        if act is None or act["parts"] is None or act["version"] != version:
            return None  # what an earlier version took for normal, the next one has learnt
        note = f"accepted by {act['by']}" + (f": {act['reason']}" if act["reason"] else "")
        rebased = learnt.rebased(learnt.counts_from(act["parts"]))
        return Baseline(rebased, "accepted", act["start"], act["end"], note)

    def _chosen(self, spec: Spec, version: str, learnt: ModelReference, end: datetime) -> Baseline:
        kind, length = spec.drift.reference, timedelta(days=spec.drift.reference_days)
        if kind == "training":
            return Baseline(learnt)
        if kind == "window":
            start, until = spec.drift.reference_from, spec.drift.reference_to
        elif kind == "rolling":
            start, until = end - WEEK - length, end - WEEK
        else:
            first = self.counts.first_hour(spec.name, version)
            start, until = (None, None) if first is None else (first, first + length)
        if start is None or until is None or until > end:
            return Baseline(learnt, note=f"{kind}: not yet over, so training for now")
        total = self._total(spec.name, version, learnt, start, until)
        if total.n_rows < MIN_ROWS:
            return Baseline(learnt, note=f"{kind} has {total.n_rows} rows only, so training for now")
        return Baseline(learnt.rebased(total), kind, start, until)

    def same_phase(
        self, spec: Spec, version: str, learnt: ModelReference, hour: datetime
    ) -> ModelReference | None:
        """Return earlier hours at the same place in the day or week, None where they have too few rows."""
        season = timedelta(hours=SEASONS[spec.drift.season])
        hours = [hour - n * season for n in range(1, N_SEASONS[spec.drift.season] + 1)]
        stored = self.counts.some_hours(spec.name, version, hours)
        total = learnt.total(learnt.counts_from(parts) for parts in stored)
        return learnt.rebased(total) if total.n_rows >= MIN_ROWS else None

    def accept(
        self,
        spec: Spec,
        version: str,
        learnt: ModelReference,
        window: tuple[datetime, datetime],
        *,
        reason: str,
        by: str,
    ) -> dict[str, Any]:
        """Take what ``version`` was asked in [start, end) for normal from now on; returns the act.

        Raises
        ------
        TooFewRowsError
            If the window has too few counted rows.
        """
        start, end = window
        total = self._total(spec.name, version, learnt, start, end)
        if total.n_rows < MIN_ROWS:
            raise TooFewRowsError(
                f"{spec.name} {version} has {total.n_rows} counted rows from {start:%Y-%m-%d %H:%M} to"
                f" {end:%Y-%m-%d %H:%M}; a reference needs {MIN_ROWS}."
            )
        act = {"action": "accept", "version": version, "start": start, "end": end, "n_rows": total.n_rows}
        act |= {"reason": reason, "by": by, "at": now()}
        return self.normals.append(spec.name, act, total.to_parts())

    def reset(self, model: str, *, reason: str, by: str) -> dict[str, Any]:
        """Go back to the spec's reference; returns the act. Raises NotFoundError if nothing was accepted."""
        newest = self.normals.current(model)
        if newest is None or newest["action"] != "accept":
            raise NotFoundError(f"No window is accepted as the normal of {model}.")
        act = {"action": "reset", "version": newest["version"], "reason": reason, "by": by, "at": now()}
        return self.normals.append(model, act, None)

    def _total(
        self, model: str, version: str, learnt: ModelReference, start: datetime, end: datetime
    ) -> ModelCounts:
        stored = self.counts.hours(model, version, start, end)
        return learnt.total(learnt.counts_from(parts) for parts in stored.values())

    def _effects(
        self, spec: Spec, version: str, learnt: ModelReference, end: datetime
    ) -> Mapping[str, float]:
        """Learn from the first days of a version how much its rows depend on each other."""
        n_days = spec.drift.learning_days
        key = (spec.name, version, n_days)
        first = self.counts.first_hour(spec.name, version) if n_days and key not in self._learnt else None
        if first is not None and first + n_days * DAY <= end:
            stored = self.counts.hours(spec.name, version, first, first + n_days * DAY)
            hours = [learnt.counts_from(parts) for parts in stored.values()]
            self._learnt[key] = design_effects(learnt, hours)
        return self._learnt.get(key, {})
