"""What changed, said in plain sentences for the person who gets the alarm."""

from datetime import date, timedelta

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells, NumberCells
from model.monitoring.evidence import Evidence, Stream
from model.monitoring.feature import FeatureReference
from model.monitoring.results import Place
from model.monitoring.statistics import largest_share_change, quantile

_EPOCH = date(1970, 1, 1)
_RATES = {
    "missing": "missing values",
    "unseen": "categories not in training",
    "out_of_range": "values out of range",
    "type_fault": "values of a wrong type",
}
_NOTHING = "has no values to compare"


def describe(stream: Stream, evidence: Evidence) -> str:
    """Say what the evidence means, such as "tempo is 14 bpm higher at the median (118 → 132)"."""
    feature, reference, window = stream.feature, stream.reference, evidence.window
    if not reference.sum() or not window.sum():
        return f"{stream.label} {_NOTHING}"
    if stream.shape == "rate":
        return _describe_rate(stream, window)
    if stream.check == "together":
        return _describe_together(stream, evidence)
    if feature is None:
        return f"{stream.label} changed"
    if isinstance(feature.cells, CategoryCells):
        return _describe_shares(feature, feature.cells, reference, window)
    return _describe_numbers(feature, feature.cells, reference, evidence)


def describe_place(stream: Stream, place: Place | None) -> str:
    """Say where a share changed: "above 180", "up to 5", "'diesel'"; empty for rates."""
    if place is None or stream.feature is None or stream.shape == "rate" or stream.check == "together":
        return ""
    cells = stream.feature.cells
    if isinstance(cells, CategoryCells):
        return _category(cells, place.cell)
    return _cut(stream.feature, cells, stream.reference, place)


def percent(share: float) -> str:
    """Write a share with as many digits as it needs.

    >>> [percent(share) for share in (0, 0.1234, 0.0345, 0.00046, 0.999, 1)]
    ['0 %', '12 %', '3.5 %', '0.05 %', '99.9 %', '100 %']
    """
    points = 100 * share
    distance = min(points, 100 - points)
    digits = 0 if distance == 0 or distance >= 9.95 else 1 if distance >= 0.095 * 10 or points > 50 else 2
    return f"{points:.{digits}f} %"


def figure(value: float) -> str:
    """Write a number with three significant digits, but all of those before its point.

    >>> [figure(value) for value in (118.4, 13.94, 0.04171, 15204.0, 2.0)]
    ['118', '13.9', '0.0417', '15204', '2']
    """
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def _describe_rate(stream: Stream, window: Ints) -> str:
    before, after = stream.reference[0] / stream.reference.sum(), window[0] / window.sum()
    if stream.check == "agreement":
        now = f"{percent(float(after))} of rows now, {percent(float(before))} in training"
        return f"{stream.label} go together otherwise than they did: on the same side in {now}"
    return f"{stream.label}: share of {_RATES[stream.check]} {_moved(float(before), float(after))}"


def _describe_together(stream: Stream, evidence: Evidence) -> str:
    name, *partners = stream.members
    told = f"{name} goes together with {', '.join(partners)} otherwise than it did"
    place = evidence.place
    if place is None:
        return told
    before, after = (
        float(counts[: place.cell + 1].sum() / counts.sum()) for counts in (stream.reference, evidence.window)
    )
    return f"{told}: {percent(after)} of rows fit as badly as {percent(before)} did in training"


def _moved(before: float, after: float) -> str:
    if before == after:
        return f"stayed at {percent(after)}"
    return f"{'rose' if after > before else 'fell'} from {percent(before)} to {percent(after)}"


def _describe_shares(feature: FeatureReference, cells: CategoryCells, reference: Ints, window: Ints) -> str:
    cell, _ = largest_share_change(reference, window) or (0, 0.0)
    moved = _moved(float(reference[cell] / reference.sum()), float(window[cell] / window.sum()))
    return f"share of {_category(cells, cell)} in {feature.label} {moved}"


def _category(cells: CategoryCells, cell: int) -> str:
    return f"'{cells.categories[cell]}'" if cell < len(cells.categories) else "categories not in training"


def _describe_numbers(
    feature: FeatureReference, cells: NumberCells, reference: Ints, evidence: Evidence
) -> str:
    window = evidence.window
    before, after = (quantile(cells.borders, counts, 0.5) for counts in (reference, window))
    if before is None or after is None:
        return f"{feature.label} {_NOTHING}"
    if window.max() == window.sum() and reference.max() < reference.sum():
        # All in one cell: on a border that is one value, between two it may be a few that are close.
        what = "the value" if window.argmax() % 2 == 0 else "values about"
        return f"{feature.label} has only {what} {_written(feature, after)} now"
    if _is_moved(cells, reference, before, after) and np.count_nonzero(reference) > 2:
        return _describe_level(feature, before, after)
    return _describe_share_at(feature, cells, reference, evidence)


def _is_moved(cells: NumberCells, reference: Ints, before: float, after: float) -> bool:
    # Moved by more than a twentieth of the middle half: less is not what an alarm is about.
    low, high = quantile(cells.borders, reference, 0.25), quantile(cells.borders, reference, 0.75)
    return abs(after - before) > 0.05 * ((high or 0.0) - (low or 0.0))


def _describe_level(feature: FeatureReference, before: float, after: float) -> str:
    span = f"({_written(feature, before)} → {_written(feature, after)})"
    if feature.kind == "date":
        side = "later" if after > before else "earlier"
        return f"{feature.label} is {figure(abs(after - before))} days {side} at the median {span}"
    side = "higher" if after > before else "lower"
    size = f"{figure(abs(after - before))} {feature.unit}".strip()
    return f"{feature.label} is {size} {side} at the median {span}"


def _describe_share_at(
    feature: FeatureReference, cells: NumberCells, reference: Ints, evidence: Evidence
) -> str:
    place, window = evidence.place, evidence.window
    if place is None:
        return f"{feature.label} has about the median of training but another shape"
    before, after = (counts[: place.cell + 1].sum() / counts.sum() for counts in (reference, window))
    if _is_upper(reference, place):
        before, after = 1 - before, 1 - after
    return f"share of {feature.label} {_cut(feature, cells, reference, place)} {_moved(before, after)}"


def _cut(feature: FeatureReference, cells: NumberCells, reference: Ints, place: Place) -> str:
    # A cell on a border counts the border in; the open cell after it ends below the next one.
    last = len(cells.borders) - 1
    border = min(max(place.cell - 1, 0) // 2, last)
    if last < 0:
        return ""
    written = _written(feature, float(cells.borders[border]))
    is_on = place.cell % 2 == 0 and place.cell > 0
    if _is_upper(reference, place):
        return f"{'above' if is_on else 'at or above'} {written}"
    return f"{'up to' if is_on else 'below'} {written}"


def _is_upper(reference: Ints, place: Place) -> bool:
    # People say "above 180 rose from 1 %", not "up to 180 fell from 99 %".
    return bool(2 * reference[: place.cell + 1].sum() >= reference.sum())


def _written(feature: FeatureReference, value: float) -> str:
    if feature.kind != "date":
        return figure(value)
    try:
        return (_EPOCH + timedelta(days=value)).isoformat()
    except OverflowError:
        return figure(value)
