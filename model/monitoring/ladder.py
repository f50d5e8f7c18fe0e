"""Which windows are looked at: a ladder of lengths, each ending at fixed moments.

A window of h periods is looked at every ``stride`` periods only, when the number of the newest one says so.
So the windows of a month are a fixed, finite family, and the budget of false alarms is shared among the
windows of the family, not among the looks: who asks twice sees the same windows twice and spends nothing.
"""

from dataclasses import dataclass
from functools import cache

_FIRST_WEIGHT = 0.25
_LATENESS = 12
_DAYS = (1, 2, 3, 4, 5, 7)


@dataclass(frozen=True, slots=True)
class Rung:
    """One length of window.

    ``n_periods`` is its length, ``stride`` the periods between the ends of two such windows, ``weight`` its
    part of the budget (all rungs together have 1), ``n_windows`` how many of them end in one month.
    """

    n_periods: int
    stride: int
    weight: float
    n_windows: int

    def n_open(self, last: int) -> int:
        """Periods since the latest end of such a window, seen from period number ``last``: 0 if it is now."""
        return (last + 1) % self.stride


@cache
def ladder(periods_per_month: int, min_periods: int = 1) -> tuple[Rung, ...]:
    """Return the rungs from ``min_periods`` to a week, the shortest first.

    Lengths grow by about 1.4 within a day and are whole days above it, over which a daily cycle averages out.
    A window may end a twelfth of its length late: that delays an alarm by half as much on average, and makes
    long windows, of which a month has few, cheap.

    >>> [rung.n_periods for rung in ladder(720)]
    [1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 72, 96, 120, 168]
    """
    day = max(1, round(periods_per_month / 30))
    powers = range(day.bit_length() + 1)
    within = {length for i in powers for length in (2**i, 3 * 2**i) if length < day}
    every = {1, *within, *(day * days for days in _DAYS)}
    lengths = sorted(length for length in every if length >= min_periods) or [min_periods]
    rest = (1 - _FIRST_WEIGHT) / max(1, len(lengths) - 1)
    return tuple(
        _rung(length, rest if position else 1 - rest * (len(lengths) - 1), periods_per_month)
        for position, length in enumerate(lengths)
    )


def _rung(length: int, weight: float, periods_per_month: int) -> Rung:
    stride = max(1, length // _LATENESS)
    return Rung(length, stride, weight, -(-periods_per_month // stride))


def history_needed(periods_per_month: int, min_periods: int = 1) -> int:
    """Return how many periods a timeline must have for every rung to find its latest window in it."""
    return max(rung.n_periods + rung.stride - 1 for rung in ladder(periods_per_month, min_periods))
