"""A reference as bytes: what goes into the artifact of a model version."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from model.monitoring.cells import CategoryCells, Counts, NumberCells
from model.monitoring.container import read_container, write_container
from model.monitoring.feature import FeatureReference
from model.monitoring.pairs import Cut, PairCells, PairReference
from utils.errors import IntegrityError

Item = Mapping[str, Any]


def write_reference(features: Iterable[FeatureReference], pairs: PairReference | None) -> bytes:
    """Return the bytes of a reference; two blocks an item, its borders (float64) and its counts."""
    items, blocks = [], []
    for feature in features:
        items.append(_feature_item(feature))
        blocks += [_borders(feature), feature.counts.to_bytes()]
    if pairs is not None:
        items.append({"cuts": [[cut.name, cut.above, cut.category, cut.is_date] for cut in pairs.cells.cuts]})
        blocks += [b"", pairs.counts.to_bytes()]
    return write_container(items, blocks)


def read_reference(data: bytes) -> tuple[list[FeatureReference], PairReference | None]:
    """Read what ``write_reference`` wrote; raises ``IntegrityError`` on anything else."""
    items, blocks = read_container(data)
    features: list[FeatureReference] = []
    pairs = None
    try:
        for item, borders, counts in zip(items, blocks[::2], blocks[1::2], strict=True):
            if "cuts" in item:
                pairs = _pairs(item, counts)
            else:
                features.append(_feature(item, borders, counts))
    except (KeyError, ValueError, TypeError) as broken:
        raise IntegrityError("the reference cannot be read") from broken
    return features, pairs


def _feature_item(feature: FeatureReference) -> dict[str, Any]:
    item = {"name": feature.name, "kind": feature.kind, "unit": feature.unit}
    if isinstance(feature.cells, CategoryCells):
        return item | {"categories": feature.cells.categories, "unseen_sample": feature.unseen_sample}
    return item | {"low": feature.low, "high": feature.high}


def _borders(feature: FeatureReference) -> bytes:
    if isinstance(feature.cells, NumberCells):
        return feature.cells.borders.astype("<f8").tobytes()
    return b""


def _feature(item: Item, borders: bytes, packed: bytes) -> FeatureReference:
    name, kind, unit = item["name"], item["kind"], item["unit"]
    if kind == "category":
        categories, sample = CategoryCells(tuple(item["categories"])), tuple(item["unseen_sample"])
        counts = _counts(packed, categories.layout, categories.n_counts)
        return FeatureReference(name, kind, categories, counts, unit=unit, unseen_sample=sample)
    cells = NumberCells(np.frombuffer(borders, dtype="<f8").astype(np.float64), kind == "date")
    counts = _counts(packed, cells.layout, cells.n_counts)
    return FeatureReference(name, kind, cells, counts, item["low"], item["high"], unit)


def _pairs(item: Item, packed: bytes) -> PairReference:
    cells = PairCells(tuple(Cut(*cut) for cut in item["cuts"]))
    return PairReference(cells, _counts(packed, cells.layout, cells.n_counts))


def _counts(packed: bytes, layout: int, n_counts: int) -> Counts:
    counts = Counts.from_bytes(packed)
    if counts.layout != layout or len(counts.values) != n_counts:
        raise IntegrityError("counts and cells of the reference do not belong together")
    return counts
