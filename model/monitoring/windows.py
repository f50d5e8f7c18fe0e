"""One window beside another, for people who look: a single question, asked once, without standing watch.

Needs NumPy only, so a page can ask it. Standing watch over many looks is the business of ``decision``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells
from model.monitoring.comparison import compare
from model.monitoring.evidence import Span, Stream, feature_stream
from model.monitoring.feature import FeatureReference
from model.monitoring.policy import Policy, Timeline
from model.monitoring.quality import quality_streams
from model.monitoring.reference import ModelCounts, ModelReference
from model.monitoring.results import FeatureDrift
from model.monitoring.statistics import ks_distance, largest_share_change
from model.monitoring.testing import tested_evidence

N_POINTS = 160
_TAIL = 0.005  # beyond, a curve is flat
_SPANS = (Span(1),)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two windows: features and outputs, and data quality; the largest effect first."""

    n_rows: int
    m_rows: int
    features: tuple[FeatureDrift, ...]
    quality: tuple[FeatureDrift, ...]


def compare_windows(reference: ModelReference, window: ModelCounts, policy: Policy) -> Comparison:
    """Compare a window with a reference; pairs of features are left out.

    Parameters
    ----------
    policy : Policy
        One of those that test: ``holm``, ``benjamini_hochberg`` or ``ks_pvalue``.
    """
    streams: list[Stream] = []
    rates: list[Stream] = []
    for name, feature in reference.features.items():
        windows = window.parts[name].values[np.newaxis]
        streams.append(feature_stream(feature, windows, _SPANS, policy.delta_of(name)))
        rates += quality_streams(feature, windows, _SPANS, policy.quality_delta)
    timeline = Timeline.of(window)
    return Comparison(
        window.n_rows,
        reference.counts.n_rows,
        _compared(streams, timeline, policy),
        _compared(rates, timeline, policy),
    )


def _compared(streams: Sequence[Stream], timeline: Timeline, policy: Policy) -> tuple[FeatureDrift, ...]:
    pairs = zip(streams, tested_evidence(streams, policy), strict=True)
    found = [compare(stream, evidence, timeline, policy) for stream, evidence in pairs]
    return tuple(sorted(found, key=lambda one: (one.is_drift, one.effect or 0.0), reverse=True))


def effect_of(feature: FeatureReference, values: Ints) -> float | None:
    """Return the size of the change of one feature, in [0, 1]; ``values`` are counts of rows with a value.

    KS distance for numbers, largest change of a share for categories; None where either side is empty.
    """
    before = feature.values(feature.counts)
    if not isinstance(feature.cells, CategoryCells):
        return ks_distance(before, values)
    change = largest_share_change(before, values)
    return None if change is None else abs(change[1])


def cumulated(feature: FeatureReference, values: Ints) -> list[dict[str, Any]]:
    """Return the two cumulative distributions of a number: ``value``, ``before`` and ``after`` by value.

    ``before`` and ``after`` are shares of rows at or below the value, None where a side has no rows. Of more
    than ``N_POINTS`` borders those are kept that are evenly spread over both distributions.
    """
    if isinstance(feature.cells, CategoryCells) or not len(feature.cells.borders):
        return []
    # A border's own cell is even, so the cumulative count there has every row at or below the border.
    places = np.arange(2, 2 * len(feature.cells.borders) + 1, 2)
    before = _shares_up_to(feature.values(feature.counts), places)
    after = _shares_up_to(values, places)
    chosen = _telling(before if before is not None else after, after if after is not None else before)
    return [
        {
            "value": float(feature.cells.borders[i]),
            "before": None if before is None else float(before[i]),
            "after": None if after is None else float(after[i]),
        }
        for i in chosen
    ]


def _shares_up_to(values: Ints, places: Ints) -> Any:
    total = int(values.sum())
    return np.cumsum(values)[places] / total if total else None


def _telling(before: Any, after: Any) -> list[int]:
    """Return the borders to draw: the middle 99 % of both sides, evenly spread over the first."""
    if before is None:
        return []
    is_inside = (np.minimum(before, after) < 1 - _TAIL) & (np.maximum(before, after) > _TAIL)
    inside = np.flatnonzero(is_inside)
    if not len(inside):
        return list(range(min(len(before), 2)))
    first, last = max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, len(before) - 1)
    if last - first < N_POINTS:
        return list(range(first, last + 1))
    wanted = np.linspace(before[first], before[last], N_POINTS - 2)
    found = (first + np.searchsorted(before[first : last + 1], wanted)).clip(first, last)
    return sorted({first, last, *found.tolist()})
