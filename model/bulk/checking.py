"""Checks rows column by column. What is odd about a cell is said by ``model.columns``, as for a request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bulk.cells import Cells, Chunk, Flags, Floats
from model.columns import MAX_EXACT, Column, Remarks, RowWarning, Value, number, shown
from model.schema import MAX_UNKNOWN, Scalar
from model.spec import Spec
from utils.errors import Fault

Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Refused:
    """A row that cannot be scored: its number, why, and the row as it was read."""

    row: int
    faults: list[Fault]
    data: Any


@dataclass(frozen=True)
class Checked:
    """Rows that can be scored, in their order, and those that cannot.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,), int64
        Number of each row in its file.
    numbers : ndarray of shape (n_rows, n_numbers), float64
    texts : ndarray of shape (n_rows, n_texts), object
        As ``model.predictor.Predictor.scores`` takes them.
    warnings : dict of int to list of RowWarning
        By position among ``rows``, what is odd about a row besides ``common``.
    common : list of RowWarning
        What is odd about all rows.
    references, subjects : list
        The values of the spec's ``id`` and ``subject``; empty where it names none.
    refused : list of Refused
        The others.
    """

    rows: NDArray[np.int64]
    numbers: Floats
    texts: Texts
    warnings: dict[int, list[RowWarning]]
    common: list[RowWarning]
    references: list[Scalar]
    subjects: list[Scalar]
    refused: list[Refused]
    columns: "list[_Read]"

    def take(self, is_kept: Flags) -> "Checked":
        """Return these rows only, without those that were refused."""
        position = np.cumsum(is_kept) - 1
        return Checked(
            rows=self.rows[is_kept],
            numbers=self.numbers[is_kept],
            texts=self.texts[is_kept],
            warnings={int(position[row]): found for row, found in self.warnings.items() if is_kept[row]},
            common=self.common,
            references=list(compress(self.references, is_kept.tolist())),
            subjects=list(compress(self.subjects, is_kept.tolist())),
            refused=[],
            columns=[column.take(is_kept) for column in self.columns],
        )

    def values(self) -> list[tuple[Value, ...]]:
        """Return for each row the values of the features in spec order, as they are logged."""
        return list(zip(*(column.logged() for column in self.columns), strict=True))


@dataclass
class _Read:
    """A feature's values: numbers, or distinct values and the position of each row's own."""

    kind: str
    numbers: Floats
    distinct: list[Value]
    codes: NDArray[np.intp] | None

    def take(self, is_kept: Flags) -> "_Read":
        codes = None if self.codes is None else self.codes[is_kept]
        return _Read(
            self.kind, self.numbers[is_kept] if codes is None else self.numbers, self.distinct, codes
        )

    def logged(self) -> list[Value]:
        if self.codes is not None:
            return [self.distinct[code] for code in self.codes.tolist()]
        whole = int if self.kind == "integer" else float
        return [None if value != value else whole(value) for value in self.numbers.tolist()]


class BulkSchema:
    """Checks chunks for one version; ``spec`` is its resolved one."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._columns = [Column(name, spec) for name in spec.features]
        extras = (spec.id, spec.subject, *spec.ignored)
        self._kept = [name for name in (spec.id, spec.subject) if name and name not in spec.features]
        self.known = frozenset(spec.features) | {name for name in extras if name}
        self._may_be_empty = all(feature.missing for feature in spec.features.values())

    def check(self, chunk: Chunk) -> Checked:
        """Check rows; none stops the others."""
        return _Check(self, chunk).result()

    def unknown(self, names: Sequence[str], remarks: Remarks) -> None:
        """Remark on columns that the spec does not know."""
        for name in names[:MAX_UNKNOWN]:
            detail = f"{shown(name)} is not a field of {self.spec.name}; it was ignored."
            remarks.odd(name, "unknown_field", detail, is_refused=self.spec.strict)


class _Check:
    """The check of one chunk. ``remarks`` has those rows about which there is something to say."""

    def __init__(self, schema: BulkSchema, chunk: Chunk) -> None:
        self._schema, self._chunk, self._spec = schema, chunk, schema.spec
        self._remarks: dict[int, Remarks] = {}
        self._n_missing = np.zeros(len(chunk), dtype=np.int32)

    def _remark(self, row: int) -> Remarks:
        return self._remarks.setdefault(row, Remarks("#"))

    def result(self) -> Checked:
        common = Remarks("#")
        self._schema.unknown(self._chunk.unknown, common)
        for row, names in self._chunk.unknown_in.items():
            self._schema.unknown(names, self._remark(row))
        read = [self._column(column) for column in self._schema._columns]
        for name in self._schema._kept:
            self._extra(name)
        self._find_empty()
        return self._checked(read, common.warnings)

    def _column(self, column: Column) -> _Read:
        cells = self._chunk.columns.get(column.name)
        if cells is None:
            cells = _Nothing(len(self._chunk))
        is_plain = column.feature.type in ("number", "integer")
        return self._number(column, cells) if is_plain else self._encoded(column, cells)

    def _number(self, column: Column, cells: Cells) -> _Read:
        values, look = cells.numbers()
        look = look | _is_odd(values, column)
        rows = np.flatnonzero(look)
        values = values.copy() if len(rows) and not values.flags.writeable else values
        for row in rows.tolist():
            values[row] = number(column.examine(cells.cell(row), self._remark(row)), column.feature)
        self._n_missing += np.isnan(values)
        return _Read(column.feature.type, values, [], None)

    def _encoded(self, column: Column, cells: Cells) -> _Read:
        found, codes = cells.encoded()
        probes = [Remarks("#") for _ in found]
        distinct = [column.examine(value, probe) for value, probe in zip(found, probes, strict=True)]
        is_odd = np.array([bool(probe.faults or probe.warnings) for probe in probes], dtype=np.bool_)
        for row in np.flatnonzero(is_odd[codes]).tolist() if is_odd.any() else ():
            column.examine(found[codes[row]], self._remark(row))
        self._n_missing += np.array([value is None for value in distinct], dtype=np.bool_)[codes]
        return _Read(column.feature.type, _numbers_of(distinct, column), distinct, codes)

    def _extra(self, name: str) -> None:
        """Refuse an id or a subject that is neither text nor number."""
        cells = self._chunk.columns.get(name)
        if cells is None or name in self._spec.ignored:
            return
        found, codes = cells.encoded()
        is_odd = np.array(
            [not isinstance(value, str | int | float | None) for value in found], dtype=np.bool_
        )
        for row in np.flatnonzero(is_odd[codes]).tolist() if is_odd.any() else ():
            detail = f"{shown(cells.cell(row))} is not a text or number."
            self._remark(row).fault(name, "type", detail)

    def _find_empty(self) -> None:
        if not self._schema._may_be_empty:
            return
        for row in np.flatnonzero(self._n_missing == len(self._spec.features)).tolist():
            remarks = self._remark(row)
            if not remarks.faults:
                remarks.faults.append(Fault("#", "empty", "Not one feature has a value."))

    def _checked(self, read: list[_Read], common: list[RowWarning]) -> Checked:
        chunk, bad = self._chunk, {row: found for row, found in self._remarks.items() if found.faults}
        refused = [Refused(int(chunk.numbers[row]), bad[row].faults, chunk.row(row)) for row in sorted(bad)]
        refused += [Refused(one.row, one.faults, one.data) for one in chunk.unreadable]
        is_kept = np.ones(len(chunk), dtype=np.bool_)
        is_kept[list(bad)] = False
        position = np.cumsum(is_kept) - 1
        kept = [column.take(is_kept) for column in read] if bad else read
        n_rows = int(is_kept.sum())
        return Checked(
            rows=chunk.numbers[is_kept],
            numbers=self._numbers(kept, n_rows),
            texts=self._texts(kept, n_rows),
            warnings={
                int(position[row]): found.warnings
                for row, found in self._remarks.items()
                if row not in bad and found.warnings
            },
            common=common,
            references=self._values(self._spec.id, is_kept, kept),
            subjects=self._values(self._spec.subject, is_kept, kept),
            refused=sorted(refused, key=lambda one: one.row),
            columns=kept,
        )

    def _numbers(self, read: Sequence[_Read], n_rows: int) -> Floats:
        columns = [one for one in read if one.kind != "category"]
        table = np.empty((n_rows, len(columns)))
        for i, one in enumerate(columns):
            table[:, i] = one.numbers if one.codes is None else one.numbers[one.codes]
        return table

    def _texts(self, read: Sequence[_Read], n_rows: int) -> Texts:
        columns = [one for one in read if one.kind == "category"]
        table = np.empty((n_rows, len(columns)), dtype=object)
        for i, one in enumerate(columns):
            texts = np.array(["" if value is None else value for value in one.distinct], dtype=object)
            table[:, i] = texts[one.codes]
        return table

    def _values(self, name: str | None, is_kept: Flags, kept: Sequence[_Read]) -> list[Scalar]:
        if name is None:
            return []
        if name in self._spec.features:
            return kept[list(self._spec.features).index(name)].logged()
        cells = self._chunk.columns.get(name)
        if cells is None:
            return [None] * int(is_kept.sum())
        found, codes = cells.encoded()
        found = [value if isinstance(value, Scalar) else None for value in found]
        return [found[code] for code in codes[is_kept].tolist()]


class _Nothing:
    """A column that the file has not."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows

    def cell(self, row: int) -> Any:
        return None

    def numbers(self) -> tuple[Floats, Flags]:
        return np.full(self._n_rows, np.nan), np.zeros(self._n_rows, dtype=np.bool_)

    def encoded(self) -> tuple[list[Any], NDArray[np.intp]]:
        return [None], np.zeros(self._n_rows, dtype=np.intp)


def _is_odd(values: Floats, column: Column) -> Flags:
    """Tell which numbers need a closer look: outside of the range, no integer, missing though required."""
    feature = column.feature
    low = -np.inf if feature.min is None else feature.min
    high = np.inf if feature.max is None else feature.max
    is_odd = (values < low) | (values > high) | np.isinf(values)
    if not feature.missing:
        is_odd |= np.isnan(values)
    if feature.type == "integer":
        # 2**53 itself may be 2**53 + 1, rounded.
        is_odd |= (values != np.floor(values)) & ~np.isnan(values) | (np.abs(values) >= MAX_EXACT)
    return is_odd


def _numbers_of(distinct: Sequence[Value], column: Column) -> Floats:
    if column.feature.type == "category":
        return np.empty(0)
    return np.array([number(value, column.feature) for value in distinct], dtype=np.float64)


def required_but_absent(spec: Spec, columns: Sequence[str]) -> Iterator[str]:
    """Yield the features that no row can do without and that the file has not."""
    yield from (n for n, f in spec.features.items() if not f.missing and n not in columns)
