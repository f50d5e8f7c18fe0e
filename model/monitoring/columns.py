"""Columns as they were logged, made countable: plain numbers or texts, with what is missing or faulty
counted.

A logged value can be anything that JSON or MongoDB can hold. Nothing here raises on a value: what cannot be a
number (or a category) is a *type fault* and is counted as one. ``cells`` does the counting.
"""

import math
import numbers
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.monitoring.arrays import Floats

_MISSING_NAMES = {"NAType", "NaTType"}  # pandas' own markers, told by name so that pandas is not imported
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_S = 86_400.0
_DAY_MS = 86_400_000.0


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """A column read once: one float64 a row, NaN where the value is missing or faulty."""

    rows: Floats
    n_faults: int

    @cached_property
    def is_there(self) -> NDArray[np.bool_]:
        """Which rows have a value."""
        return ~np.isnan(self.rows)

    @cached_property
    def values(self) -> Floats:
        """Values that are there, maybe infinite, never NaN."""
        return self.rows if self.is_there.all() else self.rows[self.is_there]

    @property
    def n_missing(self) -> int:
        """Rows without a value."""
        return len(self.rows) - len(self.values) - self.n_faults


Column = Sequence[Any] | NDArray[Any] | NumberColumn


@dataclass(frozen=True, slots=True)
class TextColumn:
    """How often each text occurs, and how many values are missing or of a faulty type."""

    tally: Mapping[str, int]
    n_missing: int
    n_faults: int


def read_numbers(column: Column) -> NumberColumn:
    """Read numbers; booleans are 0 and 1, None and NaN are missing, texts and the like are type faults.

    >>> found = read_numbers([1, None, "x", True])
    >>> found.values, found.n_missing, found.n_faults
    (array([1., 1.]), 1, 1)
    """
    if isinstance(column, NumberColumn):
        return column
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return NumberColumn(np.ascontiguousarray(column, dtype=np.float64), 0)
    values = as_list(column)
    try:
        return NumberColumn(_as_numbers(values), 0)
    except (TypeError, OverflowError):  # something in it is no number, or an integer beyond 1.8e308
        return _each(values, _number)


def read_days(column: Column) -> NumberColumn:
    """Read dates as days since 1970-01-01: ISO texts, dates, datetimes (UTC where aware) or plain numbers.

    >>> read_days(["1970-01-03", None, "soon"]).values
    array([2.])
    """
    if isinstance(column, NumberColumn):
        return column
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        milliseconds = column.astype("datetime64[ms]").astype(np.int64)
        return NumberColumn(np.where(np.isnat(column), np.nan, milliseconds / _DAY_MS), 0)
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
        return read_numbers(column)
    return _each(as_list(column), _day)


def read_texts(column: Column) -> TextColumn:
    """Read categories as texts; whole numbers lose their point, so 3, 3.0 and "3" are one category.

    >>> read_texts(["a", None, 3.0, True, ["b"]])
    TextColumn(tally={'a': 1, '3': 1, 'true': 1}, n_missing=1, n_faults=1)
    """
    tally: dict[str, int] = {}
    n_missing = n_faults = 0
    for value, n in _tally(as_list(column)):
        if is_missing(value):
            n_missing += n
        elif (text := category_text(value)) is None:
            n_faults += n
        else:
            tally[text] = tally.get(text, 0) + n
    return TextColumn(tally, n_missing, n_faults)


def is_missing(value: object) -> bool:
    """Say whether a logged value stands for "not there": None, NaN, or pandas' NA and NaT."""
    if value is None or type(value).__name__ in _MISSING_NAMES:
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def category_text(value: object) -> str | None:
    """Return the text of a category, or None if such a value cannot be one."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, numbers.Real):
        number = float(value)
        return str(int(number)) if number.is_integer() else str(number)
    return None


def as_list(column: Column) -> list[Any]:
    """Return a column as Python values."""
    if isinstance(column, NumberColumn):
        column = column.rows
    return list(column.tolist() if isinstance(column, np.ndarray) else column)


def _tally(values: Iterable[Any]) -> Iterable[tuple[Any, int]]:
    # Counting hashes first makes a million texts cost as much as their distinct values. The type is part of
    # the key where it must be: True == 1 would merge two categories.
    values = list(values)
    if set(map(type, values)) <= {str, type(None)}:
        return Counter(values).items()
    try:
        return [(value, n) for (_, value), n in Counter(zip(map(type, values), values, strict=True)).items()]
    except TypeError:  # lists and objects have no hash
        return [(value, 1) for value in values]


def _as_numbers(values: list[Any]) -> Floats:
    # array takes numbers only and is twice as fast as NumPy, which would also read the text "1.5" as a
    # number.
    try:
        return np.frombuffer(array("d", values))
    except TypeError:
        return np.frombuffer(array("d", [math.nan if value is None else value for value in values]))


def _each(values: list[Any], read: Callable[[object], float | None]) -> NumberColumn:
    found = [math.nan if is_missing(value) else read(value) for value in values]
    rows = np.array([math.nan if value is None else value for value in found], dtype=np.float64)
    return NumberColumn(rows, found.count(None))


def _number(value: object) -> float | None:
    if not isinstance(value, numbers.Real | np.bool_):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _day(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return _days_of(value)
    if isinstance(value, date):
        return float(value.toordinal() - _EPOCH)
    return _number(value)


def _days_of(moment: datetime) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.timestamp() / _DAY_S
