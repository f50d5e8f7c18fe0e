"""Data quality as streams: how often values are missing, unseen, out of range or of a wrong type."""

from collections.abc import Sequence

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells, NumberCells
from model.monitoring.evidence import Span, Stream
from model.monitoring.reference import FeatureReference
from model.monitoring.results import Check


def quality_streams(
    feature: FeatureReference, windows: Ints, spans: Sequence[Span], delta: float
) -> list[Stream]:
    """Return the rates to watch for one feature, each against its rate in training.

    ``windows`` has shape (n_spans, n_values + 2).
    """
    checks: list[Check] = ["missing", "type_fault"]
    checks.append("unseen" if feature.kind == "category" else "out_of_range")
    return [_rate_stream(feature, check, windows, spans, delta) for check in checks]


def _rate_stream(
    feature: FeatureReference, check: Check, windows: Ints, spans: Sequence[Span], delta: float
) -> Stream:
    reference = rate(feature, check, feature.counts.values[None])[0]
    return Stream(feature, check, "rate", reference, rate(feature, check, windows), spans, delta)


def rate(feature: FeatureReference, check: Check, windows: Ints) -> Ints:
    """Return rows that have the property and rows that could but do not; shape (n_windows, 2)."""
    n_rows, values = windows.sum(axis=1), windows[:, : feature.cells.n_values]
    if check in ("missing", "type_fault"):
        n_with, n_all = windows[:, -2 if check == "missing" else -1], n_rows
    else:
        n_with, n_all = _outside(feature, values), values.sum(axis=1)
    return np.stack([n_with, n_all - n_with], axis=1)


def _outside(feature: FeatureReference, values: Ints) -> Ints:
    if isinstance(feature.cells, CategoryCells):
        return values[:, -1]
    inside = values[:, _inside(feature, feature.cells)]
    return np.asarray(values.sum(axis=1) - inside.sum(axis=1), dtype=np.int64)


def _inside(feature: FeatureReference, cells: NumberCells) -> slice:
    # Both ends of the range are borders: those of training by construction, those of the spec by being added.
    low = 0 if feature.low is None else 2 * (int(cells.borders.searchsorted(feature.low)) + 1)
    high = cells.n_values if feature.high is None else 2 * (int(cells.borders.searchsorted(feature.high)) + 1)
    return slice(low, high + 1)
