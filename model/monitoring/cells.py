"""Cells: the places a value can fall, relative to the reference, and integer counts of them.

The sorted distinct reference values r1 < ... < rk (the *borders*) cut the line into 2k + 1 cells: on a
border, or strictly between two. How many values of a window fall into each cell is all that is needed to
compare the window with the reference exactly, and such counts add up over hours, processes and machines.

This module turns columns into counts. It knows neither what a feature is called nor what is done with the
counts.

References
----------
The supremum of a two-sample Kolmogorov-Smirnov distance is reached at a sample value or just below one:
Conover, "Practical Nonparametric Statistics", 3rd ed., section 6.3.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.columns import (
    Column,
    NumberColumn,
    as_list,
    category_text,
    is_missing,
    read_days,
    read_numbers,
    read_texts,
)
from model.monitoring.packing import pack, unpack

MAX_CELLS = 1_024
_CHUNK = 1 << 18  # values sorted at a time: 2 MB, which the second-level cache about holds
_OUTER = 2.0 ** np.arange(-4, 4)  # in ranges of training: a sixteenth to eight


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How many rows fell into each cell; adds up with counts of the same cells.

    ``values`` has one non-negative integer a cell, ``layout`` is the checksum of the cells.
    """

    values: Ints
    layout: int

    @property
    def n_rows(self) -> int:
        """Rows counted, with those that are missing or faulty."""
        return int(self.values.sum())

    def __add__(self, other: "Counts") -> "Counts":
        if self.layout != other.layout:
            raise ValueError("counts of different cells do not add up")
        return Counts(self.values + other.values, self.layout)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return self.layout == other.layout and np.array_equal(self.values, other.values)

    def to_bytes(self) -> bytes:
        """Return the packed form (see ``packing``)."""
        return pack(self.values, self.layout)

    @staticmethod
    def from_bytes(data: bytes) -> "Counts":
        """Read the packed form; raises ``IntegrityError`` on bytes that are none."""
        return Counts(*unpack(data))


class Cells(Protocol):
    """What all sorts of cells have."""

    @property
    def n_counts(self) -> int:
        """Length of the counts."""

    @property
    def layout(self) -> int:
        """Checksum that tells these cells from any others."""


def total(cells: Cells, counts: Iterable[Counts]) -> Counts:
    """Add up any number of counts, none giving zeros."""
    values = np.zeros(cells.n_counts, dtype=np.int64)
    for one in counts:
        if one.layout != cells.layout:
            raise ValueError("counts of different cells do not add up")
        values += one.values
    return Counts(values, cells.layout)


@dataclass(frozen=True, eq=False)
class NumberCells:
    """Cells of a numeric feature.

    Cell 0 holds -inf, cells 1 to 2k + 1 are below r1, on r1, between r1 and r2, ..., above rk, cell 2k + 2
    holds +inf. Missing values and type faults have the two cells after them.

    Parameters
    ----------
    borders : ndarray of shape (k,)
        Finite, sorted, distinct; k may be 0.
    is_date : bool
        Whether logged values are dates, which are counted as days since 1970-01-01.
    """

    borders: Floats
    is_date: bool = False

    @property
    def n_values(self) -> int:
        """Cells in order of value: 2k + 3."""
        return 2 * len(self.borders) + 3

    @property
    def n_counts(self) -> int:
        """Cells with those of missing values and type faults."""
        return self.n_values + 2

    @cached_property
    def layout(self) -> int:
        """CRC-32 of the borders."""
        return zlib.crc32(self.borders.astype("<f8").tobytes(), int(self.is_date))

    def count(self, column: Column) -> Counts:
        """Count one column (any sequence or array of logged values)."""
        return self.count_numbers(read_days(column) if self.is_date else read_numbers(column))

    def count_numbers(self, column: NumberColumn) -> Counts:
        """Count values already read."""
        values = np.zeros(self.n_counts, dtype=np.int64)
        for start in range(0, len(column.values), _CHUNK):
            values[:-2] += self._compare(column.values[start : start + _CHUNK])
        values[-2:] = column.n_missing, column.n_faults
        return Counts(values, self.layout)

    def places(self, column: Column) -> Ints:
        """Return the cell of each row; a faulty value counts as missing, as a read column no longer tells."""
        rows = (read_days(column) if self.is_date else read_numbers(column)).rows
        found = 1 + self.borders.searchsorted(rows, "left") + self.borders.searchsorted(rows, "right")
        found[rows == np.inf] = self.n_values - 1
        found[rows == -np.inf] = 0
        found[np.isnan(rows)] = self.n_values
        return found

    def _compare(self, numbers: Floats) -> Ints:
        # Sorting the values and looking the borders up in them is five times faster than the other way round.
        ordered = np.sort(numbers)
        steps = np.empty(self.n_values + 1, dtype=np.int64)
        steps[0], steps[-1] = 0, len(ordered)
        steps[1], steps[-2] = ordered.searchsorted(-np.inf, "right"), ordered.searchsorted(np.inf, "left")
        steps[2:-2:2] = ordered.searchsorted(self.borders, "left")
        steps[3:-2:2] = ordered.searchsorted(self.borders, "right")
        return np.diff(steps)


@dataclass(frozen=True, eq=False)
class CategoryCells:
    """Cells of a category: one a category, then unseen ones, then missing and faulty rows.

    ``categories`` are distinct and sorted. If the reference had more than ``max_cells``, only its most
    frequent ones are kept and the unseen cell stands for "rare or unseen".
    """

    categories: tuple[str, ...]

    @property
    def n_values(self) -> int:
        """Categories and the unseen cell: K + 1."""
        return len(self.categories) + 1

    @property
    def n_counts(self) -> int:
        """Cells with those of missing values and type faults."""
        return self.n_values + 2

    @cached_property
    def layout(self) -> int:
        """CRC-32 of the categories."""
        return zlib.crc32("\0".join(self.categories).encode("utf-8", "surrogatepass"), 2)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {category: position for position, category in enumerate(self.categories)}

    def count(self, column: Column) -> Counts:
        """Count one column (any sequence or array of logged values)."""
        texts = read_texts(column)
        values = np.zeros(self.n_counts, dtype=np.int64)
        for text, n in texts.tally.items():
            values[self._position.get(text, self.n_values - 1)] += n
        values[-2:] = texts.n_missing, texts.n_faults
        return Counts(values, self.layout)

    def places(self, column: Column) -> Ints:
        """Return the cell of each row."""
        known, unseen = self._position, self.n_values - 1
        return np.array(
            [known.get(one, unseen) if type(one) is str else self._place(one) for one in as_list(column)],
            dtype=np.int64,
        )

    def _place(self, value: object) -> int:
        if is_missing(value):
            return self.n_values
        text = category_text(value)
        return self.n_values + 1 if text is None else self._position.get(text, self.n_values - 1)


def fit_number_cells(
    column: Column,
    *,
    max_cells: int = MAX_CELLS,
    extra_borders: tuple[float, ...] = (),
    is_date: bool = False,
) -> NumberCells:
    """Place borders on the reference's distinct values, or on ``max_cells`` of their quantiles if there are
    more.

    Parameters
    ----------
    column : sequence or array
        Training values of one feature; missing and faulty ones are left out.
    extra_borders : tuple of float
        Further borders, such as the ends of the range that the spec allows. They cost nothing in exactness.

    A few borders are added beyond both ends of training, so that one can tell how far outside values lie.
    """
    values = (read_days(column) if is_date else read_numbers(column)).values
    distinct, n_each = np.unique(values[np.isfinite(values)], return_counts=True)
    kept = distinct if len(distinct) <= max_cells else distinct[_quantile_positions(n_each, max_cells)]
    borders = np.concatenate([kept, np.asarray(extra_borders, dtype=np.float64), _outer(distinct)])
    return NumberCells(np.unique(borders) + 0.0, is_date)


def fit_category_cells(column: Column, *, max_cells: int = MAX_CELLS) -> CategoryCells:
    """Give one cell to each category of the reference, or to the ``max_cells`` most frequent ones."""
    tally = read_texts(column).tally
    frequent = sorted(tally, key=lambda text: (-tally[text], text))[:max_cells]
    return CategoryCells(tuple(sorted(frequent)))


def _outer(distinct: Floats) -> Floats:
    if not len(distinct):
        return distinct
    low, high = distinct[0], distinct[-1]
    with np.errstate(over="ignore"):
        span = high - low if high > low else max(abs(high), 1.0)
        borders = np.concatenate([low - span * _OUTER, high + span * _OUTER])
    return np.asarray(borders[np.isfinite(borders)], dtype=np.float64)


def _quantile_positions(n_each: Ints, max_cells: int) -> Ints:
    # Equal steps of cumulative mass; a value that carries much of it is hit by several steps, so it gets a
    # border of its own. First and last are kept: they tell what was never seen in training.
    cumulative = np.cumsum(n_each)
    targets = np.linspace(1, cumulative[-1], max_cells)
    return np.unique(cumulative.searchsorted(targets)).astype(np.int64)
