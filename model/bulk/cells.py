"""One column of rows that were read from a file, and the rows themselves.

A column gives its cells as numbers or by distinct value, whichever a feature needs, and any single cell as
JSON would have carried it. Columns of Python values are here, those of Arrow in ``model.bulk.arrow_cells``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.columns import MAX_EXACT
from utils.errors import Fault

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]


class Cells(Protocol):
    """The cells of one column."""

    def numbers(self) -> tuple[Floats, Flags]:
        """Return the cells as float64, NaN where missing, and where to look closer; shape (n_rows,)."""
        ...

    def encoded(self) -> tuple[list[Any], Codes]:
        """Return the distinct values, and for each row the position of its own, shape (n_rows,)."""
        ...

    def cell(self, row: int) -> Any:
        """Return one cell as JSON would have carried it; missing is None."""
        ...


@dataclass(frozen=True)
class Unreadable:
    """A row of a file that is no row: where it is, what is wrong, and what stands there."""

    row: int
    faults: list[Fault]
    data: Any


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a file.

    Attributes
    ----------
    numbers : ndarray of shape (n_rows,), int64
        Number of each row in its file.
    columns : mapping of str to Cells
        What the file has, as far as the spec knows it.
    unknown : sequence of str
        Columns that the spec does not know and that all rows have.
    unknown_in : mapping of int to sequence of str
        By position, further ones that only this row has.
    unreadable : list of Unreadable
        Rows that are not among the others.
    """

    numbers: NDArray[np.int64]
    columns: Mapping[str, Cells]
    unknown: Sequence[str] = ()
    unknown_in: Mapping[int, Sequence[str]] = field(default_factory=dict)
    unreadable: Sequence[Unreadable] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def row(self, position: int) -> dict[str, Any]:
        """Return one row as it was read, without columns that are not known."""
        return {name: cells.cell(position) for name, cells in self.columns.items()}


class ObjectCells:
    """Cells that are Python values, as JSON has them."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def cell(self, row: int) -> Any:
        """Return one cell."""
        return self._values[row]

    def numbers(self) -> tuple[Floats, Flags]:
        """Return the cells as float64; texts, booleans and huge integers need a closer look."""
        if set(map(type, self._values)) <= {int, float, type(None)}:
            try:
                return np.array(self._values, dtype=np.float64), np.zeros(len(self._values), dtype=np.bool_)
            except OverflowError:
                pass  # found below, one by one
        is_odd = [value is not None and not _is_number(value) for value in self._values]
        usual = [None if odd else value for odd, value in zip(is_odd, self._values, strict=True)]
        return np.array(usual, dtype=np.float64), np.array(is_odd, dtype=np.bool_)

    def encoded(self) -> tuple[list[Any], Codes]:
        """Return the distinct values; those of another type are others, as ``True == 1``."""
        known: dict[Any, int] = {}
        distinct: list[Any] = []
        codes = np.empty(len(self._values), dtype=np.intp)
        for row, value in enumerate(self._values):
            key = (type(value), value) if _is_scalar(value) else (row,)
            if key not in known:
                known[key] = len(distinct)
                distinct.append(value)
            codes[row] = known[key]
        return distinct, codes


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= MAX_EXACT)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
