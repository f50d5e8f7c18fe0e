"""A drift policy run over a history with its own times: which alarms it would have raised.

The same counting and the same decisions as in production, on columns in memory. Reads no file, knows no
server and no database.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.baselines import MIN_ROWS, N_SEASONS, SEASONS, WEEK
from mlops.seasons import decide_in_season
from model.monitoring import DriftResult, FeatureDrift, ModelCounts, ModelReference, Policy, Timeline, decide
from model.monitoring.ladder import history_needed
from model.spec import Drift
from utils.errors import VigiaError

Ints = NDArray[np.int64]
Columns = Mapping[str, Any]
Step = Callable[[int, int], None]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
MAX_WINDOWS = 100_000


class BacktestError(VigiaError):
    """A history that cannot be judged."""

    status = 422
    code = "backtest"
    title = "Cannot be backtested"


@dataclass(frozen=True)
class Window:
    """One window of a history, [start, end), and what the check at its end found."""

    start: datetime
    end: datetime
    n_rows: int
    result: DriftResult

    def to_document(self) -> dict[str, Any]:
        """Return a dict of JSON types."""
        return {
            "start": self.start,
            "end": self.end,
            "rows": self.n_rows,
            "alarm": self.result.is_drift,
            "verdict": self.result.verdict,
            "features": [_told(check) for check in by_feature(self.result)],
        }


def _told(check: FeatureDrift) -> dict[str, Any]:
    return {
        "feature": check.feature,
        "statistic": check.statistic,
        "threshold": check.threshold,
        "p_value": check.p_value,
        "n": check.n,
        "drift": check.is_drift,
        "check": check.check,
        "statistic_name": check.statistic_name,
        "threshold_on": check.threshold_on,
        "effect": check.effect,
        "windows": check.n_periods,
        "verdict": check.verdict,
        "sentence": check.sentence,
    }


def by_feature(result: DriftResult) -> list[FeatureDrift]:
    """Return one check a feature: that of its distribution, or what else of it drifted, or both as one pair.

    What drifted comes first.
    """
    found: dict[str, FeatureDrift] = {}
    further = (one for one in (*result.pairs, *result.segments) if one.is_drift)
    for check in (*result.features, *result.quality, *further):
        earlier = found.get(check.feature)
        if earlier is None or (check.is_drift and not earlier.is_drift):
            found[check.feature] = check
    return sorted(found.values(), key=lambda check: not check.is_drift)


@dataclass(frozen=True)
class Periods:
    """Counts of successive windows without gaps; ``first`` numbers the first one from 1970 on."""

    counts: tuple[ModelCounts, ...]
    first: int
    length: timedelta

    def start_of(self, place: int) -> datetime:
        """Return when a window begins."""
        return EPOCH + (self.first + place) * self.length


def counted(reference: ModelReference, columns: Columns, at_ms: Ints, length: timedelta) -> Periods:
    """Count rows into windows.

    Parameters
    ----------
    columns : mapping of name to sequence or array, each of n_rows
    at_ms : ndarray of shape (n_rows,)
        When, in milliseconds since 1970.

    Raises
    ------
    BacktestError
        If there are no rows, or too many windows.
    """
    if not len(at_ms):
        raise BacktestError("The history has no rows.")
    numbers = at_ms // (length // timedelta(milliseconds=1))
    first, n_windows = int(numbers.min()), int(numbers.max() - numbers.min()) + 1
    if n_windows > MAX_WINDOWS:
        raise BacktestError(f"That would be {n_windows:,} windows; choose a longer one than {length}.")
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], np.arange(first, first + n_windows + 1))
    nothing = reference.total([])
    counts = tuple(
        reference.count(taken(columns, order[start:end])) if end > start else nothing
        for start, end in pairwise(edges.tolist())
    )
    return Periods(counts, first, length)


def taken(columns: Columns, rows: NDArray[Any]) -> dict[str, Any]:
    """Return some rows of columns, by place."""
    return {
        name: column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]
        for name, column in columns.items()
    }


def periods_per_month(length: timedelta) -> int:
    """Return how many windows a month has, at least 1: then the budget of alarms is one of a window."""
    return max(1, round(MONTH / length))


@dataclass
class Normal:
    """What each window of a history is compared with, as ``Baselines`` chooses it in production.

    Parameters
    ----------
    reference : ModelReference
        Of training, which stands in until the chosen one has rows enough.
    drift : Drift
        The spec's choice of reference and season.
    """

    reference: ModelReference
    periods: Periods
    drift: Drift
    _known: dict[tuple[int, int], ModelReference | None] = field(default_factory=dict)

    @property
    def n_phases(self) -> int:
        """Windows of a season; 1 where the spec has none or a window is no part of it."""
        if self.drift.season == "none":
            return 1
        season = SEASONS[self.drift.season] * timedelta(hours=1)
        return season // self.periods.length if season % self.periods.length == timedelta() else 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the choice."""
        season, kind = self.drift.season, self.drift.reference
        found = [] if kind == "training" else [f"reference: {kind}; before it has {MIN_ROWS} rows, training"]
        if season != "none" and self.n_phases == 1:
            found.append(f"season: a window of {self.periods.length} has no place in a {season}")
        return tuple(found)

    def at(self, place: int) -> ModelReference:
        """Return what the window at ``place`` is compared with."""
        start, until = self._chosen(place)
        if start is None or until is None or until > self.periods.start_of(place + 1):
            return self.reference
        return self._total(self._place(start), self._place(until)) or self.reference

    def usual(self, place: int) -> ModelReference | None:
        """Return what the same windows of earlier seasons were like, None where too little is known."""
        earlier = [place - n * self.n_phases for n in range(1, N_SEASONS[self.drift.season] + 1)]
        return self._rebased([self.periods.counts[one] for one in earlier if one >= 0])

    def _chosen(self, place: int) -> tuple[datetime | None, datetime | None]:
        length, end = timedelta(days=self.drift.reference_days), self.periods.start_of(place + 1)
        if self.drift.reference == "first_weeks":
            return self.periods.start_of(0), self.periods.start_of(0) + length
        if self.drift.reference == "rolling":
            return end - WEEK - length, end - WEEK
        if self.drift.reference == "window":
            return self.drift.reference_from, self.drift.reference_to
        return None, None

    def _place(self, moment: datetime) -> int:
        """Return the first window that begins at ``moment`` or later, within the history."""
        steps = -((EPOCH - moment) // self.periods.length) - self.periods.first
        return min(max(0, steps), len(self.periods.counts))

    def _total(self, start: int, end: int) -> ModelReference | None:
        if (start, end) not in self._known:
            self._known = {(start, end): self._rebased(self.periods.counts[start:end])}
        return self._known[start, end]

    def _rebased(self, counts: Sequence[ModelCounts]) -> ModelReference | None:
        total = self.reference.total(counts)
        return self.reference.rebased(total) if total.n_rows >= MIN_ROWS else None


def judged(normal: Normal, policy: Policy, on_step: Step, start: int = 0) -> list[Window]:
    """Check at the end of every window from the ``start``-th on, and return what each check found."""
    periods = normal.periods
    policy = replace(policy, periods_per_month=periods_per_month(periods.length))
    n_back = history_needed(policy.periods_per_month) if policy.name == "margin" else 1
    found = []
    for place in range(start, len(periods.counts)):
        on_step(place - start, len(periods.counts) - start)
        # Windows before the first are unknown, not empty: they are no part of the timeline.
        timeline = Timeline(periods.counts[max(start, place + 1 - n_back) : place + 1], periods.first + place)
        result = _decided(normal, place, timeline, policy)
        begin = periods.start_of(place)
        found.append(Window(begin, begin + periods.length, periods.counts[place].n_rows, result))
    return found


def _decided(normal: Normal, place: int, timeline: Timeline, policy: Policy) -> DriftResult:
    if normal.n_phases == 1 or policy.name != "margin":
        return decide(normal.at(place), timeline, policy)
    return decide_in_season(normal.at(place), normal.usual(place), timeline, policy, normal.n_phases)
