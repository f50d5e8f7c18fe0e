"""Features by segment: how each is distributed among the rows of one genre, one country, one customer group.

The spec names features whose values make segments: the most frequent ones, and all others together. In each,
every feature and output is counted in coarse cells (a tenth of the usual ones), all in one vector, so that a
segment costs little and adds up like everything else.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells, Counts, NumberCells, fit_number_cells
from model.monitoring.columns import Column
from model.monitoring.feature import FeatureReference

SEGMENTS = "@segments:"
MAX_VALUES = 12
MAX_CELLS = 32
MIN_TRAINING = 100  # rows; a value with fewer belongs to the rest
OTHER = "(other)"


@dataclass(frozen=True, eq=False)
class SegmentCells:
    """Cells of all features in all segments that one feature makes.

    Counts have the shape (n_segments, width) flattened: the last segment is the rest, each row of it has the
    cells of one feature after those of another.
    """

    name: str
    values: tuple[str, ...]
    cells: Mapping[str, NumberCells | CategoryCells]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the segments."""
        return (*self.values, OTHER)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where the cells of each feature are in the row of a segment."""
        ends = np.cumsum([0, *(one.n_counts for one in self.cells.values())]).tolist()
        return {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(self.cells)}

    @property
    def width(self) -> int:
        """Cells of one segment."""
        return sum(one.n_counts for one in self.cells.values())

    @property
    def n_counts(self) -> int:
        """Length of the counts."""
        return len(self.labels) * self.width

    @cached_property
    def layout(self) -> int:
        """CRC-32 of segments and cells."""
        head = repr((self.name, self.values, tuple(self.cells))).encode("utf-8", "surrogatepass")
        return zlib.crc32(repr([one.layout for one in self.cells.values()]).encode(), zlib.crc32(head, 4))

    def count(self, columns: Mapping[str, Column]) -> Counts:
        """Count rows given column by column, each read by its feature; a lacking one is missing."""
        segment = self._segments(columns[self.name])
        found = np.empty((len(self.labels), self.width), dtype=np.int64)
        for name, cells in self.cells.items():
            places = cells.places(columns[name]) + segment * cells.n_counts
            counts = np.bincount(places, minlength=len(self.labels) * cells.n_counts)
            found[:, self.slices[name]] = counts.reshape(len(self.labels), cells.n_counts)
        return Counts(found.ravel(), self.layout)

    def _segments(self, column: Column) -> Ints:
        places = CategoryCells(self.values).places(column)
        return np.minimum(places, len(self.values))

    def shaped(self, counts: Ints) -> Ints:
        """Return counts (n, n_counts) as (n, n_segments, width)."""
        return counts.reshape(len(counts), len(self.labels), self.width)


@dataclass(frozen=True, eq=False)
class SegmentReference:
    """The segments of one feature, and what they looked like in training."""

    cells: SegmentCells
    counts: Counts

    def feature_in(self, feature: FeatureReference, segment: int) -> FeatureReference:
        """Return the reference of a feature within a segment."""
        cells = self.cells.cells[feature.name]
        row = self.cells.shaped(self.counts.values[np.newaxis])[0, segment, self.cells.slices[feature.name]]
        return replace(feature, cells=cells, counts=Counts(row, cells.layout))

    def label(self, segment: int) -> str:
        """Return what people call a segment."""
        return f"{self.cells.name} {self.cells.labels[segment]}"


def fit_segments(
    names: Iterable[str], features: Mapping[str, FeatureReference], columns: Mapping[str, Column]
) -> dict[str, SegmentReference]:
    """Learn the segments that the named features make; those that are no categories are left out.

    ``columns`` are of training, and hold no outputs: these are counted in segments of production only where
    training told them for the same rows.
    """
    read = {name: one.read(columns[name]) for name, one in features.items() if name in columns}
    coarse = {name: _coarse(features[name], column) for name, column in read.items()}
    found = {}
    for name in names:
        cells = features[name].cells if name in features else None
        if isinstance(cells, CategoryCells):
            shaped = SegmentCells(
                name, _values(features[name]), {n: c for n, c in coarse.items() if n != name}
            )
            found[name] = SegmentReference(shaped, shaped.count(read))
    return found


def _coarse(feature: FeatureReference, column: Column) -> NumberCells | CategoryCells:
    if isinstance(feature.cells, NumberCells):
        return fit_number_cells(column, max_cells=MAX_CELLS, is_date=feature.cells.is_date)
    values = feature.values(feature.counts)[:-1]
    order = np.argsort(-values, kind="stable")[:MAX_CELLS]
    return CategoryCells(tuple(sorted(feature.cells.categories[place] for place in order)))


def _values(feature: FeatureReference) -> tuple[str, ...]:
    assert isinstance(feature.cells, CategoryCells)  # noqa: S101  narrows the type
    values = feature.values(feature.counts)[:-1]
    order = [
        place for place in np.argsort(-values, kind="stable")[:MAX_VALUES] if values[place] >= MIN_TRAINING
    ]
    return tuple(feature.cells.categories[place] for place in order)
