"""Numbers and times for people, in the way of the page's language."""

from collections.abc import Callable
from datetime import timedelta

from app.dashboard.language import chosen

DASH = "\u2013"
NONE = DASH
THIN = "\u202f"
HOURS_A_DAY = 24


def _local(text: str) -> str:
    """Return a number written in English in the way of the page's language."""
    if chosen() != "es":
        return text
    return text.replace(",", "\0").replace(".", ",").replace("\0", THIN)


def whole(value: float | None) -> str:
    """Write a count: 12,345."""
    return NONE if value is None else _local(f"{value:,.0f}")


def figure(value: object) -> str:
    """Write a number with four digits that count; what is no number as it is."""
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1_000:
        return _local(f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3e}")
    return _local(f"{value:.4g}")


def percent(share: float | None) -> str:
    """Write a share: 12.3 %."""
    return NONE if share is None else f"{_local(f'{100 * share:.1f}')}{THIN}%"


def chance(value: float | None) -> str:
    """Write a p-value: as small as it matters, no smaller."""
    if value is None:
        return NONE
    return f"<{THIN}{_local('0.0001')}" if value < 0.0001 else _local(f"{value:.2g}")


def milliseconds(value: float | None) -> str:
    """Write a duration: 2.1 ms."""
    return NONE if value is None else f"{_local(f'{value:.3g}')}{THIN}ms"


def hours(value: float | None) -> str:
    """Write a length of time given in hours: 5 h, 2.5 d."""
    if value is None:
        return NONE
    if value < 2 * HOURS_A_DAY:
        return f"{_local(f'{value:.3g}')}{THIN}h"
    return f"{_local(f'{value / HOURS_A_DAY:.3g}')}{THIN}d"


def interval(low: float | None, high: float | None) -> str:
    """Write the two ends of an interval."""
    return NONE if low is None or high is None else f"{figure(low)} {DASH} {figure(high)}"


def span(value: timedelta) -> str:
    """Write a length of time."""
    return hours(value / timedelta(hours=1))


FORMATS: dict[str, Callable[..., str]] = {
    "whole": whole,
    "figure": figure,
    "percent": percent,
    "chance": chance,
    "milliseconds": milliseconds,
    "hours": hours,
    "interval": interval,
    "span": span,
}
