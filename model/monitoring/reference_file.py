"""A reference as bytes: what goes into the artifact of a model version."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from model.monitoring.cells import CategoryCells, Counts, NumberCells
from model.monitoring.container import read_container, write_container
from model.monitoring.feature import FeatureReference
from model.monitoring.joint import JOINT, Coding, JointReference, Table, n_cells
from model.monitoring.pairs import Cut, PairCells, PairReference
from model.monitoring.segments import SegmentCells, SegmentReference
from utils.errors import IntegrityError

Item = Mapping[str, Any]


def write_reference(
    features: Iterable[FeatureReference],
    pairs: PairReference | None,
    joint: JointReference | None = None,
    segments: Iterable[SegmentReference] = (),
) -> bytes:
    """Return the bytes of a reference; two blocks an item, its borders (float64) and its counts."""
    items: list[Item] = []
    blocks: list[bytes] = []
    for feature in (*features, *(joint.scores.values() if joint else ())):
        items.append(_feature_item(feature))
        blocks += [_borders(feature.cells), feature.counts.to_bytes()]
    if pairs is not None:
        items.append({"cuts": [[cut.name, cut.above, cut.category, cut.is_date] for cut in pairs.cells.cuts]})
        blocks += [b"", pairs.counts.to_bytes()]
    if joint is not None:
        items.append(_joint_item(joint))
        blocks += [
            b"".join(t.values.astype("<f4").tobytes() for some in joint.tables.values() for t in some),
            b"",
        ]
    for one in segments:
        items += [_cells_item(name, cells) for name, cells in one.cells.cells.items()]
        blocks += [block for cells in one.cells.cells.values() for block in (_borders(cells), b"")]
        items.append({"segments": one.cells.name, "values": one.cells.values})
        blocks += [b"", one.counts.to_bytes()]
    return write_container(items, blocks)


Read = tuple[list[FeatureReference], PairReference | None, JointReference | None, list[SegmentReference]]


def read_reference(data: bytes) -> Read:
    """Read what ``write_reference`` wrote; raises ``IntegrityError`` on anything else."""
    items, blocks = read_container(data)
    try:
        return _read(list(zip(items, blocks[::2], blocks[1::2], strict=True)))
    except (KeyError, ValueError, TypeError, IndexError) as broken:
        raise IntegrityError("the reference cannot be read") from broken


def _read(parts: Sequence[tuple[Item, bytes, bytes]]) -> Read:
    features: list[FeatureReference] = []
    segments: list[SegmentReference] = []
    coarse: dict[str, NumberCells | CategoryCells] = {}
    pairs = joint = None
    for item, first, second in parts:
        if "cuts" in item:
            pairs = _pairs(item, second)
        elif "codings" in item:
            joint = _joint(item, first, [one for one in features if one.name.startswith(JOINT)])
        elif "coarse" in item:
            coarse[item["coarse"]] = _cells(item, first)
        elif "segments" in item:
            cells = SegmentCells(item["segments"], tuple(item["values"]), coarse)
            segments.append(SegmentReference(cells, _counts(second, cells.layout, cells.n_counts)))
            coarse = {}
        else:
            features.append(_feature(item, first, second))
    return [one for one in features if not one.name.startswith(JOINT)], pairs, joint, segments


def _joint_item(joint: JointReference) -> Item:
    codings = [[one.name, one.cuts, one.categories] for one in joint.codings]
    return {"codings": codings, "tables": {n: [t.members for t in some] for n, some in joint.tables.items()}}


def _joint(item: Item, values: bytes, scores: Sequence[FeatureReference]) -> JointReference:
    codings = [
        Coding(name, tuple(cuts), None if categories is None else tuple(categories))
        for name, cuts, categories in item["codings"]
    ]
    every, start = np.frombuffer(values, dtype="<f4").astype(np.float32), 0
    tables: dict[str, list[Table]] = {}
    for name, some in item["tables"].items():
        for members in some:
            size = n_cells(len(members))
            tables.setdefault(name, []).append(Table(tuple(members), every[start : start + size]))
            start += size
    if start != len(every) or {JOINT + name for name in tables} != {one.name for one in scores}:
        raise IntegrityError("tables of the reference are cut off")
    return JointReference(codings, tables, {one.name: one for one in scores})


def _cells_item(name: str, cells: NumberCells | CategoryCells) -> Item:
    if isinstance(cells, CategoryCells):
        return {"coarse": name, "categories": cells.categories}
    return {"coarse": name, "is_date": cells.is_date}


def _cells(item: Item, borders: bytes) -> NumberCells | CategoryCells:
    if "categories" in item:
        return CategoryCells(tuple(item["categories"]))
    return NumberCells(np.frombuffer(borders, dtype="<f8").astype(np.float64), item["is_date"])


def _feature_item(feature: FeatureReference) -> dict[str, Any]:
    item = {"name": feature.name, "kind": feature.kind, "unit": feature.unit}
    if isinstance(feature.cells, CategoryCells):
        return item | {"categories": feature.cells.categories, "unseen_sample": feature.unseen_sample}
    return item | {"low": feature.low, "high": feature.high}


def _borders(cells: NumberCells | CategoryCells) -> bytes:
    if isinstance(cells, NumberCells):
        return cells.borders.astype("<f8").tobytes()
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
