"""What changed, said in plain sentences for the person who gets the alarm."""

from datetime import date, timedelta

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells, NumberCells
from model.monitoring.reference import FeatureReference
from model.monitoring.statistics import largest_share_change, quantile

_EPOCH = date(1970, 1, 1)
_RATES = {
    "missing": "missing",
    "unseen": "never seen in training",
    "out_of_range": "out of range",
    "type_fault": "of a wrong type",
}


def describe_change(feature: FeatureReference, reference: Ints, current: Ints) -> str:
    """Say how a feature's values moved, such as "tempo is 14 bpm higher at the median (118 → 132)".

    ``reference`` and ``current`` are counts of rows that have a value, shape (n_values,).
    """
    if isinstance(feature.cells, CategoryCells):
        return _describe_shares(feature.label, feature.cells, reference, current)
    return _describe_numbers(feature, feature.cells, reference, current)


def describe_rate(label: str, check: str, before: float, after: float) -> str:
    """Say how a rate moved, such as "tempo: missing rose from 0 % to 8 %"."""
    return f"{label}: {_RATES[check]} {_moved(before, after)}"


def describe_constant(feature: FeatureReference, value: str) -> str:
    """Say that a feature has only one value now."""
    return f"{feature.label} has only the value {value} now"


def percent(share: float) -> str:
    """Write a share with as many digits as it needs: 12 %, 3.4 %, 0.05 %.

    >>> [percent(share) for share in (0, 0.1234, 0.0345, 0.00046, 1)]
    ['0 %', '12 %', '3.5 %', '0.05 %', '100 %']
    """
    points = 100 * share
    digits = 0 if points == 0 or 9.95 <= points <= 99 or points == 100 else 1 if points >= 0.95 else 2
    return f"{points:.{digits}f} %"


def _moved(before: float, after: float) -> str:
    verb = "rose" if after > before else "fell"
    return f"{verb} from {percent(before)} to {percent(after)}"


def _describe_shares(label: str, cells: CategoryCells, reference: Ints, current: Ints) -> str:
    change = largest_share_change(reference, current)
    if change is None:
        return f"{label} has no values to compare"
    cell, difference = change
    if difference == 0:
        return f"{label} has the shares of training"
    what = f"'{cells.categories[cell]}'" if cell < len(cells.categories) else "categories not in training"
    moved = _moved(reference[cell] / reference.sum(), current[cell] / current.sum())
    return f"share of {what} in {label} {moved}"


def _describe_numbers(feature: FeatureReference, cells: NumberCells, reference: Ints, current: Ints) -> str:
    before = [quantile(cells.borders, reference, level) for level in (0.25, 0.5, 0.75)]
    after = [quantile(cells.borders, current, level) for level in (0.25, 0.5, 0.75)]
    if before[1] is None or after[1] is None:
        return f"{feature.label} has no values to compare"
    if _is_moved(cells, reference, before[1], after[1]):
        return _describe_level(feature, before[1], after[1])
    return _describe_spread(feature, before, after)


def _is_moved(cells: NumberCells, reference: Ints, before: float, after: float) -> bool:
    # Moved by more than a twentieth of the middle half: less is not what an alarm is about.
    low, high = quantile(cells.borders, reference, 0.25), quantile(cells.borders, reference, 0.75)
    width = (high or 0.0) - (low or 0.0)
    return abs(after - before) > 0.05 * width


def _describe_level(feature: FeatureReference, before: float, after: float) -> str:
    if feature.kind == "date":
        side = "later" if after > before else "earlier"
        days = f"{_figure(abs(after - before))} days {side}"
        return f"{feature.label} is {days} at the median ({_day(before)} → {_day(after)})"
    side = "higher" if after > before else "lower"
    size = f"{_figure(abs(after - before))} {feature.unit}".strip()
    return f"{feature.label} is {size} {side} at the median ({_figure(before)} → {_figure(after)})"


def _describe_spread(feature: FeatureReference, before: list[float | None], after: list[float | None]) -> str:
    write = _day if feature.kind == "date" else _figure
    halves = [
        f"{write(low)} to {write(high)}"
        for low, _, high in (before, after)
        if low is not None and high is not None
    ]
    if len(set(halves)) == 2:
        return (
            f"the middle half of {feature.label} went from {halves[0]} to {halves[1]} {feature.unit}".strip()
        )
    return f"{feature.label} has the median of training but another shape"


def _figure(value: float) -> str:
    # Three significant digits, but never fewer than the whole part has: 118, 13.9, 0.0417, 1520.
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def _day(value: float) -> str:
    try:
        return (_EPOCH + timedelta(days=value)).isoformat()
    except OverflowError:
        return _figure(value)
