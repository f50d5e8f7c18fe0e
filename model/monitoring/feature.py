"""What training looked like for one feature or one output."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells, Counts, NumberCells, fit_category_cells, fit_number_cells
from model.monitoring.columns import Column, NumberColumn, as_list, read_days, read_numbers

Kind = Literal["number", "category", "date"]
Range = tuple[float | None, float | None]


@dataclass(frozen=True, eq=False)
class FeatureReference:
    """Cells and training counts of one feature or output.

    Parameters
    ----------
    name, kind
        As given to ``ModelReference.fit``; a name that begins with ``@`` is an output of the model.
    cells, counts
        Where values can fall, and how many of training did.
    low, high : float, optional
        Range outside which a number is out of range: what the spec says, otherwise what training saw.
    unit : str
        For sentences.
    unseen_sample : (k, m)
        Bounds the share of unseen categories without any drift: of m training rows, k had a category that the
        other rows did not have.
    """

    name: str
    kind: Kind
    cells: NumberCells | CategoryCells
    counts: Counts
    low: float | None = None
    high: float | None = None
    unit: str = ""
    unseen_sample: tuple[int, int] = (0, 0)

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

    def read(self, column: Column) -> Column:
        """Read a column of numbers or dates once, so that it can be counted more than once."""
        if not isinstance(self.cells, NumberCells) or isinstance(column, NumberColumn):
            return column
        return read_days(column) if self.cells.is_date else read_numbers(column)


def fit_feature(
    name: str, kind: Kind, column: Column, allowed: Range, unit: str, max_cells: int
) -> FeatureReference:
    """Learn the reference of one feature from its training values."""
    if kind == "category":
        categories = fit_category_cells(column, max_cells=max_cells)
        counts, sample = categories.count(column), _unseen_sample(column, max_cells)
        return FeatureReference(name, kind, categories, counts, unit=unit, unseen_sample=sample)
    numbers = read_days(column) if kind == "date" else read_numbers(column)
    ends = tuple(end for end in allowed if end is not None)
    cells = fit_number_cells(numbers, max_cells=max_cells, extra_borders=ends, is_date=kind == "date")
    counts = cells.count(numbers)
    low, high = _range(cells, counts, allowed)
    return FeatureReference(name, kind, cells, counts, low, high, unit)


def _unseen_sample(column: Column, max_cells: int) -> tuple[int, int]:
    # How often a row brings a category that others have not shown: seen by letting one half predict the
    # other.
    listed = as_list(column)
    order = np.random.default_rng(0).permutation(len(listed)).tolist()  # tables may be sorted, or alternate
    middle = len(order) // 2
    half = fit_category_cells([listed[row] for row in order[:middle]], max_cells=max_cells)
    values = half.count([listed[row] for row in order[middle:]]).values[: half.n_values]
    return int(values[-1]), int(values.sum())


def _range(cells: NumberCells, counts: Counts, allowed: Range) -> Range:
    seen = cells.borders[counts.values[2 : cells.n_values - 1 : 2] > 0]
    low, high = allowed
    if low is None and len(seen):
        low = float(seen[0])
    if high is None and len(seen):
        high = float(seen[-1])
    return low, high
