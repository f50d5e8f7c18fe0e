"""Counts of successive periods as one matrix a part, in the few bytes in which they were stored.

A check adds up windows of a week of hours; with a Python object for each hour and feature, reading them would
cost more than everything else together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from model.monitoring.cells import Counts
from model.monitoring.pairs import PAIRS
from model.monitoring.reference import ModelCounts

Matrix = NDArray[np.unsignedinteger[Any] | np.int64]


@dataclass(frozen=True, eq=False)
class Stacked(Sequence[ModelCounts]):
    """Counts of successive periods, which may also be looked at one by one.

    Parameters
    ----------
    n_periods : int
    parts : mapping of name to ndarray of shape (n_periods, n_counts)
    layouts : mapping of name to checksum of the cells
    """

    n_periods: int
    parts: Mapping[str, Matrix]
    layouts: Mapping[str, int]

    @staticmethod
    def of(periods: Sequence[ModelCounts]) -> "Stacked":
        """Stack counts; returns what is stacked already as it is."""
        if isinstance(periods, Stacked):
            return periods
        names = periods[0].parts if periods else {}
        parts = {name: np.stack([one.parts[name].values for one in periods]) for name in names}
        layouts = {name: counts.layout for name, counts in (periods[0].parts.items() if periods else ())}
        return Stacked(len(periods), parts, layouts)

    def __len__(self) -> int:
        return self.n_periods

    @overload
    def __getitem__(self, place: int) -> ModelCounts: ...

    @overload
    def __getitem__(self, place: slice) -> "Stacked": ...

    def __getitem__(self, place: int | slice) -> "ModelCounts | Stacked":
        if isinstance(place, slice):
            parts = {name: matrix[place] for name, matrix in self.parts.items()}
            return Stacked(len(range(self.n_periods)[place]), parts, self.layouts)
        if not -self.n_periods <= place < self.n_periods:
            raise IndexError(place)
        rows = {name: matrix[place].astype(np.int64) for name, matrix in self.parts.items()}
        return ModelCounts({name: Counts(row, self.layouts[name]) for name, row in rows.items()})

    def total(self) -> ModelCounts:
        """Add all periods up."""
        sums = {name: matrix.sum(axis=0, dtype=np.int64) for name, matrix in self.parts.items()}
        return ModelCounts({name: Counts(row, self.layouts[name]) for name, row in sums.items()})

    def n_rows(self) -> int:
        """Return the rows of all periods."""
        # Every feature counts every row, so the first tells all.
        first = next((matrix for name, matrix in self.parts.items() if name != PAIRS), None)
        return 0 if first is None else int(first.sum())
