"""Columns that Arrow reads: texts of a CSV file, typed columns of a Parquet file.

Imports pyarrow, which not every installation has; who uses this module says what to do without.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from model.bulk.cells import Codes, Flags, Floats
from model.columns import from_text
from model.spec import Data, Feature


class CsvRows:
    """Rows of a CSV file in memory, read column by column as they are needed.

    Parameters
    ----------
    content : bytes
        Whole rows without a header.
    header : sequence of str
        The names of all columns.
    data : Data
        How the file is written.

    Raises
    ------
    ValueError
        On the first reading, if rows differ in length or are not text.
    """

    def __init__(self, content: bytes, header: Sequence[str], data: Data) -> None:
        self._content, self._header, self._data = content, list(header), data
        self._read: dict[str, pa.Array] = {}

    def load(self, numbers: Sequence[str], texts: Sequence[str]) -> int:
        """Read these columns and return the number of rows."""
        types = {name: pa.float64() for name in numbers} | {name: pa.string() for name in texts}
        try:
            table = self._table(types)
        except pa.ArrowInvalid:  # some number is none; which, is seen from the texts
            table = self._table({name: pa.string() for name in types})
        self._read = {name: table[name].combine_chunks() for name in types}
        self._read |= {name: self._as_numbers(self._read[name]) for name in numbers}
        return int(table.num_rows)

    def _as_numbers(self, column: pa.Array) -> pa.Array:
        """Return texts as float64 if all are numbers."""
        if not pa.types.is_string(column.type) or self._data.decimal != ".":
            return column
        missing = pc.is_in(column, pa.array(self._data.missing_values, pa.string()))
        try:
            return pc.cast(pc.if_else(missing, pa.scalar(None, pa.string()), column), pa.float64())
        except pa.ArrowInvalid:
            return column

    def _table(self, types: dict[str, pa.DataType]) -> pa.Table:
        data = self._data
        return arrow_csv.read_csv(
            pa.BufferReader(self._content),
            read_options=arrow_csv.ReadOptions(
                column_names=self._header,
                use_threads=False,
                block_size=len(self._content) + 1,
                encoding=data.encoding.removesuffix("-sig"),
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=data.separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(types),
                column_types=types,
                null_values=list(data.missing_values),
                decimal_point=data.decimal,
            ),
        )

    def column(self, name: str) -> pa.Array:
        """Return a column as it was read: float64, or texts."""
        return self._read[name]

    def texts(self, name: str) -> pa.Array:
        """Return a column as texts."""
        if not pa.types.is_string(self._read[name].type):
            self._read[name] = self._table({name: pa.string()})[name].combine_chunks()
        return self._read[name]


class TextCells:
    """A column of ``CsvRows``; ``feature`` says how its texts are read, None leaves them as they are."""

    def __init__(self, rows: CsvRows, name: str, feature: Feature | None, data: Data) -> None:
        self._rows, self._name, self._feature, self._data = rows, name, feature, data

    def _plain(self, text: str) -> Any:
        if self._feature is None:
            return text
        if self._data.decimal != "." and self._feature.is_plain:
            text = text.replace(self._data.decimal, ".")
        return from_text(text, self._feature, self._data.missing_values)

    def cell(self, row: int) -> Any:
        """Return one cell."""
        return self._plain(self._rows.texts(self._name)[row].as_py())

    def numbers(self) -> tuple[Floats, Flags]:
        """Return the cells as float64; a closer look is needed at what is written like no usual number."""
        column = self._rows.column(self._name)
        if pa.types.is_floating(column.type) and not pc.any(pc.is_nan(column)).as_py():
            return _floats(column), np.zeros(len(column), dtype=np.bool_)
        distinct, codes = self.encoded()
        usual = [_as_float(value) for value in distinct]
        is_odd = [
            value is not None and number != number for value, number in zip(distinct, usual, strict=True)
        ]
        values = np.array(usual, dtype=np.float64)
        return values[codes], (np.array(is_odd, dtype=np.bool_) | np.isinf(values))[codes]

    def encoded(self) -> tuple[list[Any], Codes]:
        """Return the distinct values."""
        return _encoded(self._rows.texts(self._name), self._plain)


class ArrowCells:
    """A column of a Parquet file; ``feature`` says how dates are written out."""

    def __init__(self, column: pa.Array, feature: Feature | None) -> None:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        self._column = column
        self._form = feature.format if feature else None

    def _plain(self, value: Any) -> Any:
        if isinstance(value, float) and np.isnan(value):
            return None
        if isinstance(value, datetime | date):
            return value.strftime(self._form) if self._form else value.isoformat()
        return float(value) if isinstance(value, Decimal) else value

    def cell(self, row: int) -> Any:
        """Return one cell."""
        return self._plain(self._column[row].as_py())

    def numbers(self) -> tuple[Floats, Flags]:
        """Return the cells as float64; what is no number needs a closer look."""
        kind = self._column.type
        if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
            self._column, kind = self._column.cast(pa.float64()), pa.float64()
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            column = pc.cast(self._column, pa.float64(), safe=False)
            return _floats(column), np.zeros(len(column), dtype=np.bool_)
        is_odd = pc.is_valid(self._column).to_numpy(zero_copy_only=False)
        return np.full(len(is_odd), np.nan), is_odd

    def encoded(self) -> tuple[list[Any], Codes]:
        """Return the distinct values."""
        return _encoded(self._column, self._plain)


def _as_float(value: Any) -> float:
    try:
        return float(value) if type(value) in (int, float) else np.nan
    except OverflowError:
        return np.inf


def _floats(column: pa.Array) -> Floats:
    found: Floats = column.to_numpy(zero_copy_only=False)  # NaN where null
    return found


def _encoded(column: pa.Array, plain: Callable[[Any], Any]) -> tuple[list[Any], Codes]:
    if pa.types.is_nested(column.type):  # as JSON has them, one by one; no feature takes them
        return [plain(value) for value in column.to_pylist()], np.arange(len(column), dtype=np.intp)
    dictionary = pc.dictionary_encode(column, null_encoding="encode")
    distinct = [plain(value) for value in dictionary.dictionary.to_pylist()]
    return distinct, dictionary.indices.to_numpy(zero_copy_only=False).astype(np.intp)
