"""A drift policy run over a history with its own times: which alarms it would have raised.

The same counting and the same decisions as in production, on columns in memory. Reads no file, knows no
server and no database.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.monitoring import DriftResult, FeatureDrift, ModelCounts, ModelReference, Policy, Timeline, decide
from model.monitoring.ladder import history_needed
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


def judged(
    reference: ModelReference, periods: Periods, policy: Policy, on_step: Step, start: int = 0
) -> list[Window]:
    """Check at the end of every window from the ``start``-th on, and return what each check found."""
    policy = replace(policy, periods_per_month=periods_per_month(periods.length))
    n_back = history_needed(policy.periods_per_month) if policy.name == "margin" else 1
    found = []
    for place in range(start, len(periods.counts)):
        on_step(place - start, len(periods.counts) - start)
        # Windows before the first are unknown, not empty: they are no part of the timeline.
        timeline = Timeline(periods.counts[max(start, place + 1 - n_back) : place + 1], periods.first + place)
        result = decide(reference, timeline, policy)
        begin = periods.start_of(place)
        found.append(Window(begin, begin + periods.length, periods.counts[place].n_rows, result))
    return found
