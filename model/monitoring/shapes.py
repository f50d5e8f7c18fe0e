"""Distributions small enough to keep in a report and to draw: shares by bin or category."""

from typing import Any

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.cells import CategoryCells, NumberCells
from model.monitoring.feature import FeatureReference
from model.monitoring.reference import ModelCounts, ModelReference

N_BINS = 24
N_CATEGORIES = 24
TAIL = 0.005


def shapes(reference: ModelReference, counts: ModelCounts) -> list[dict[str, Any]]:
    """Return for each feature and output its distribution in the reference and in ``counts``.

    Each has ``feature``, ``kind``, ``unit``, ``reference`` and ``current`` (shares of the rows with a value,
    or None without rows), and ``edges`` (numbers; one more than shares, the outer bins hold the tails) or
    ``categories``.
    """
    return [_shape(feature, counts) for feature in reference.features.values()]


def _shape(feature: FeatureReference, counts: ModelCounts) -> dict[str, Any]:
    before = feature.values(feature.counts)
    after = feature.values(counts.parts[feature.name])
    found: dict[str, Any] = {"feature": feature.label, "kind": feature.kind, "unit": feature.unit}
    if isinstance(feature.cells, CategoryCells):
        return found | _category_shape(feature.cells, before, after)
    return found | _number_shape(feature.cells, before, after)


def _category_shape(cells: CategoryCells, before: Ints, after: Ints) -> dict[str, Any]:
    names = [*cells.categories, "(unseen)"]
    order = np.argsort(-(before / max(before.sum(), 1) + after / max(after.sum(), 1)), kind="stable")
    shown = [int(i) for i in order[:N_CATEGORIES] if before[i] or after[i]]
    return {
        "categories": [names[i] for i in shown],
        "reference": _shares(before[shown], int(before.sum())),
        "current": _shares(after[shown], int(after.sum())),
    }


def _number_shape(cells: NumberCells, before: Ints, after: Ints) -> dict[str, Any]:
    places = _places(cells.borders)
    edges = _edges(places, before)
    if edges is None:
        return {"edges": [], "reference": None, "current": None}
    inside = np.clip(places, edges[0], edges[-1])
    old, new = (np.histogram(inside, edges, weights=counts)[0] for counts in (before, after))
    return {
        "edges": edges.tolist(),
        "reference": _shares(old, int(before.sum())),
        "current": _shares(new, int(after.sum())),
    }


def _places(borders: Floats) -> Floats:
    """Return a value for every cell: the border itself, or the middle between two."""
    if len(borders) == 0:
        return np.zeros(3)
    # The first and last two cells lie beyond the borders: minus infinity, below, above, plus infinity.
    places = np.empty(2 * len(borders) + 3)
    places[2:-2:2] = borders
    places[3:-2:2] = (borders[1:] + borders[:-1]) / 2
    places[:2], places[-2:] = borders[0], borders[-1]
    return places


def _edges(places: Floats, before: Ints) -> Floats | None:
    total = before.sum()
    if total == 0:
        return None
    cumulative = before.cumsum() / total
    low = places[int(np.searchsorted(cumulative, TAIL))]
    high = places[min(int(np.searchsorted(cumulative, 1 - TAIL)), len(places) - 1)]
    if not high > low:
        low, high = low - 0.5, low + 0.5
    return np.linspace(low, high, N_BINS + 1)


def _shares(counts: Ints | Floats, total: int) -> list[float] | None:
    return (counts / total).tolist() if total else None
