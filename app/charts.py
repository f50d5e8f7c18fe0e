"""Numbers to shapes: coordinates that templates draw as SVG. Knows neither Flask nor HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

WIDTH = 240.0
HEIGHT = 72.0
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Bar:
    """A rectangle with a title for those who hover or listen."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Chart:
    """Bars of the current window and, over them, the outline of the reference."""

    current: list[Bar]
    reference: list[Bar]
    first: str
    last: str
    rows: list[tuple[str, str, str]]


def distribution(shape: Mapping[str, Any]) -> Chart | None:
    """Return the two distributions of one feature, or None where the reference has no values."""
    if shape["reference"] is None:
        return None
    names = _names(shape)
    before, after = shape["reference"], shape["current"] or [0.0] * len(names)
    highest = max([*before, *after, 1e-9])
    rows = [(name, percent(b), percent(a)) for name, b, a in zip(names, before, after, strict=True)]
    return Chart(_bars(after, highest, names), _bars(before, highest, names), names[0], names[-1], rows)


def _names(shape: Mapping[str, Any]) -> list[str]:
    if "categories" in shape:
        return list(shape["categories"])
    edges = shape["edges"]
    return [f"{short(low)} to {short(high)}" for low, high in pairwise(edges)]


def _bars(shares: Sequence[float], highest: float, names: Sequence[str]) -> list[Bar]:
    step = WIDTH / max(len(shares), 1)
    return [
        Bar(
            round(i * step, 2),
            round(HEIGHT * (1 - share / highest), 2),
            round(step * 0.86, 2),
            round(HEIGHT * share / highest, 2),
            f"{name}: {percent(share)}",
        )
        for i, (share, name) in enumerate(zip(shares, names, strict=True))
    ]


def traffic(hours: Sequence[Mapping[str, Any]], end: datetime, n_hours: int = 48) -> list[Bar]:
    """Return one bar an hour for the ``n_hours`` before ``end``; hours without rows have no height."""
    totals: dict[datetime, int] = {}
    for hour in hours:
        totals[hour["hour"]] = totals.get(hour["hour"], 0) + hour["n_rows"]
    starts = [end - (n_hours - i) * HOUR for i in range(n_hours)]
    counts = [totals.get(start, 0) for start in starts]
    step, highest = WIDTH / n_hours, max([*counts, 1])
    return [
        Bar(
            round(i * step, 2),
            round(HEIGHT * (1 - count / highest), 2),
            round(step * 0.8, 2),
            round(HEIGHT * count / highest, 2),
            f"{start:%d %b %H:%M} UTC: {count} rows",
        )
        for i, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]


def percent(share: float) -> str:
    """Return a share for people.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{100 * share:.1f} %"


def short(value: float) -> str:
    """Return a number with four digits that count.

    >>> short(95.04321), short(1234567.0)
    ('95.04', '1.235e+06')
    """
    return f"{value:.4g}"
