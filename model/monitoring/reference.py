"""What training looked like: the reference of each feature and output of one model version.

A ``ModelReference`` is part of a version's artifact (``reference.bin``). It counts logged columns into
``ModelCounts``, which add up and are kept one small binary per feature and hour. Nothing here decides
anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import (
    MAX_CELLS,
    CategoryCells,
    Counts,
    NumberCells,
    fit_category_cells,
    fit_number_cells,
    total,
)
from model.monitoring.columns import Column
from model.monitoring.container import read_container, write_container
from utils.errors import IntegrityError

Kind = Literal["number", "category", "date"]
Range = tuple[float | None, float | None]

PREDICTION = "@prediction"  # the predicted class (category) or value (number)
PROBABILITY = "@probability"  # probability of the positive class


@dataclass(frozen=True, eq=False)
class FeatureReference:
    """Cells and training counts of one feature or output.

    ``low`` and ``high`` are the range outside which a number is out of range: what the spec says, otherwise
    what training saw. ``unit`` is for sentences. Names that begin with ``@`` are outputs of the model.
    """

    name: str
    kind: Kind
    cells: NumberCells | CategoryCells
    counts: Counts
    low: float | None = None
    high: float | None = None
    unit: str = ""

    @property
    def is_output(self) -> bool:
        """Whether this is something the model answered rather than something it was asked."""
        return self.name.startswith("@")

    @property
    def label(self) -> str:
        """Name without the mark of an output."""
        return self.name.removeprefix("@")

    def values(self, counts: Counts) -> Ints:
        """Return the counts of rows that have a value, in the order of the cells."""
        return counts.values[: self.cells.n_values]

    def count(self, column: Column) -> Counts:
        """Count one column of logged values."""
        return self.cells.count(column)


@dataclass(frozen=True)
class ModelCounts:
    """Counts of all features and outputs over some rows, by name; they add up."""

    parts: Mapping[str, Counts]

    @property
    def n_rows(self) -> int:
        """Rows counted."""
        return max((counts.n_rows for counts in self.parts.values()), default=0)

    def __add__(self, other: "ModelCounts") -> "ModelCounts":
        names = dict.fromkeys([*self.parts, *other.parts])
        return ModelCounts({name: _sum(self.parts.get(name), other.parts.get(name)) for name in names})

    def to_parts(self) -> dict[str, bytes]:
        """Return one packed binary a feature, to be kept by name."""
        return {name: counts.to_bytes() for name, counts in self.parts.items()}


@dataclass(frozen=True)
class ModelReference:
    """References of all features and outputs of one model version, by name."""

    features: Mapping[str, FeatureReference] = field(default_factory=dict)

    @staticmethod
    def fit(
        columns: Mapping[str, Column],
        kinds: Mapping[str, Kind],
        *,
        ranges: Mapping[str, Range] | None = None,
        units: Mapping[str, str] | None = None,
        max_cells: int = MAX_CELLS,
    ) -> "ModelReference":
        """Learn the reference from training columns.

        Parameters
        ----------
        columns : mapping of name to sequence or array, all of one length
            Training features under their names; outputs of the model on rows it was not fitted on under
            ``PREDICTION`` and ``PROBABILITY``.
        kinds : mapping of name to "number", "category" or "date"
            Which columns to watch, in the order of reports. Others are left out.
        ranges : mapping of name to (low, high), optional
            Allowed range of a number; None leaves an end open to what training saw.
        units : mapping of name to unit, optional
            For sentences, such as "bpm".
        """
        ranges, units = ranges or {}, units or {}
        return ModelReference(
            {
                name: _fit(
                    name, kind, columns[name], ranges.get(name, (None, None)), units.get(name, ""), max_cells
                )
                for name, kind in kinds.items()
            }
        )

    @property
    def counts(self) -> ModelCounts:
        """Training counts of all features."""
        return ModelCounts({name: feature.counts for name, feature in self.features.items()})

    def count(self, columns: Mapping[str, Column]) -> ModelCounts:
        """Count logged rows, given column by column and all of one length.

        A feature that is not among ``columns`` is counted as missing in every row; columns of unknown names
        are ignored. No value raises: what cannot be read is a type fault.
        """
        n_rows = max((len(column) for column in columns.values()), default=0)
        nothing = [None] * n_rows
        return ModelCounts(
            {name: feature.count(columns.get(name, nothing)) for name, feature in self.features.items()}
        )

    def counts_from(self, parts: Mapping[str, bytes]) -> ModelCounts:
        """Read counts kept by ``ModelCounts.to_parts``; features without a binary have zeros.

        Raises
        ------
        IntegrityError
            If a binary is broken.
        ValueError
            If it was counted with the cells of another version.
        """
        return ModelCounts(
            {
                name: total(feature.cells, [Counts.from_bytes(parts[name])] if name in parts else [])
                for name, feature in self.features.items()
            }
        )

    def total(self, counts: Iterable[ModelCounts]) -> ModelCounts:
        """Add up any number of counts, none giving zeros."""
        listed = list(counts)
        return ModelCounts(
            {
                name: total(feature.cells, [one.parts[name] for one in listed if name in one.parts])
                for name, feature in self.features.items()
            }
        )

    def to_bytes(self) -> bytes:
        """Return the artifact part ``reference.bin`` (see ``container`` for its form)."""
        return write_container(
            [_head(feature) for feature in self.features.values()],
            [block for feature in self.features.values() for block in _blocks(feature)],
        )

    @staticmethod
    def from_bytes(data: bytes) -> "ModelReference":
        """Read what ``to_bytes`` wrote; raises ``IntegrityError`` on anything else."""
        heads, blocks = read_container(data)
        pairs = zip(heads, blocks[::2], blocks[1::2], strict=True)
        features = [_from_head(head, borders, counts) for head, borders, counts in pairs]
        return ModelReference({feature.name: feature for feature in features})


def _sum(one: Counts | None, other: Counts | None) -> Counts:
    if one is None or other is None:
        return one or other or Counts(np.zeros(0, dtype=np.int64), 0)
    return one + other


def _fit(
    name: str, kind: Kind, column: Column, allowed: Range, unit: str, max_cells: int
) -> FeatureReference:
    if kind == "category":
        categories = fit_category_cells(column, max_cells=max_cells)
        return FeatureReference(name, kind, categories, categories.count(column), unit=unit)
    extra = tuple(end for end in allowed if end is not None)
    cells = fit_number_cells(column, max_cells=max_cells, extra_borders=extra, is_date=kind == "date")
    counts = cells.count(column)
    low, high = _range(cells, counts, allowed)
    return FeatureReference(name, kind, cells, counts, low, high, unit)


def _range(cells: NumberCells, counts: Counts, allowed: Range) -> Range:
    seen = cells.borders[counts.values[2 : cells.n_values - 1 : 2] > 0]
    low, high = allowed
    if low is None and len(seen):
        low = float(seen[0])
    if high is None and len(seen):
        high = float(seen[-1])
    return low, high


def _head(feature: FeatureReference) -> dict[str, object]:
    head: dict[str, object] = {"name": feature.name, "kind": feature.kind, "unit": feature.unit}
    if isinstance(feature.cells, CategoryCells):
        return head | {"categories": feature.cells.categories}
    return head | {"low": feature.low, "high": feature.high}


def _blocks(feature: FeatureReference) -> tuple[bytes, bytes]:
    borders = feature.cells.borders.astype("<f8").tobytes() if isinstance(feature.cells, NumberCells) else b""
    return borders, feature.counts.to_bytes()


def _from_head(head: Mapping[str, Any], borders: bytes, counts: bytes) -> FeatureReference:
    try:
        cells = _cells_from(head, borders)
        found = Counts.from_bytes(counts)
        if found.layout != cells.layout or len(found.values) != cells.n_values + 2:
            raise IntegrityError("counts and cells of the reference do not belong together")
        return FeatureReference(
            head["name"], head["kind"], cells, found, head.get("low"), head.get("high"), head["unit"]
        )
    except (KeyError, ValueError) as broken:
        raise IntegrityError("the reference cannot be read") from broken


def _cells_from(head: Mapping[str, Any], borders: bytes) -> NumberCells | CategoryCells:
    if head["kind"] == "category":
        return CategoryCells(tuple(head["categories"]))
    return NumberCells(np.frombuffer(borders, dtype="<f8").astype(np.float64), head["kind"] == "date")
