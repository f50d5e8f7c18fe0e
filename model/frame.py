"""Tables in, DataFrames for pipelines out: the columns of a spec, in its order and with its types.

Number, integer, boolean and date columns become float64 with NaN where missing (dates are days since
1970-01-01), categories become text (dtype object) with NaN where missing. Serving builds the same columns in
``model.schema`` without pandas; both read single values alike. Errors name the column and the line.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model import columns, written
from model.csv_body import is_number
from model.labels import LabelReader, UnknownLabelError, spellings
from model.spec import Data, Feature, Spec, Written
from utils.errors import TableError

Floats = NDArray[np.float64]
Values = NDArray[np.object_]

FIRST_LINE = 2  # of a CSV file, below its header
# A compressed file may end too early (EOFError), or be none.
UNREADABLE_FILE = (OSError, EOFError, ValueError, ImportError, LookupError, zlib.error)
UNREADABLE = (ValueError, TypeError, OverflowError)


@dataclass(frozen=True)
class Rows:
    """Labelled rows.

    Attributes
    ----------
    features : DataFrame of shape (n_rows, n_features)
        As ``features_frame`` returns it.
    y : ndarray of shape (n_rows,)
        Position of the class in ``spec.labels`` (int64), or the value of a regression (float64).
    n_unlabelled : int
        Rows of the table that had no label and are not here.
    """

    features: pd.DataFrame
    y: NDArray[Any]
    n_unlabelled: int = 0

    def __len__(self) -> int:
        return len(self.y)

    def take(self, positions: NDArray[Any]) -> "Rows":
        """Return the rows at these positions, or where a mask is true."""
        return Rows(
            self.features[positions] if positions.dtype == bool else self.features.iloc[positions],
            self.y[positions],
        )


def read_table(path: Path, spec: Spec) -> pd.DataFrame:
    """Read the columns of a spec from a CSV (also compressed) or Parquet file; other columns are left out.

    Cells of a CSV file stay text here; only ``spec.data.missing_values`` are missing.

    Raises
    ------
    TableError
        If the file is missing or cannot be read.
    """
    wanted = {*spec.features, spec.target.name}
    try:
        table = _read_parquet(path, wanted) if path.suffix == ".parquet" else _read_csv(path, spec, wanted)
    except FileNotFoundError:
        raise TableError(f"{path}: no such file.") from None
    except UNREADABLE_FILE as error:
        raise TableError(f"{path}: cannot be read. {' '.join(str(error).split())}") from None
    table.index = pd.RangeIndex(FIRST_LINE, FIRST_LINE + len(table), name="line")
    return table


def _read_csv(path: Path, spec: Spec, wanted: set[str]) -> pd.DataFrame:
    table = read_texts(path, spec.data, wanted)
    return with_points(spec, table)


def read_texts(path: Path, data: Data, wanted: set[str] | None = None) -> pd.DataFrame:
    """Read cells of a CSV file as texts, NaN where missing; all columns, or the wanted ones.

    Raises OSError or ValueError where that cannot be done.
    """
    return pd.read_csv(
        path,
        usecols=None if wanted is None else lambda name: name in wanted,
        dtype=object,
        keep_default_na=False,  # "None" may be a category
        na_values=list(data.missing_values),
        encoding=data.encoding,
        sep=data.separator,
    )


def with_points(spec: Spec, table: pd.DataFrame) -> pd.DataFrame:
    """Return texts with a decimal point in the columns of numbers, where the file has commas."""
    if spec.data.decimal == ".":
        return table
    names = [name for name in (*spec.features, spec.target.name) if name in table]
    numbers = [name for name in names if is_number(spec, name)]
    return table.assign(**{name: table[name].str.replace(spec.data.decimal, ".") for name in numbers})


def _read_parquet(path: Path, wanted: set[str]) -> pd.DataFrame:
    table = pd.read_parquet(path)
    return table[[name for name in table.columns if name in wanted]]


def features_frame(spec: Spec, rows: pd.DataFrame | Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return the features of some rows as a pipeline gets them.

    Parameters
    ----------
    rows : DataFrame or sequence of mappings
        Any columns and types; a feature that may be missing may lack its column.

    Returns
    -------
    DataFrame of shape (n_rows, n_features)
        In spec order, with the index of ``rows``.

    Raises
    ------
    TableError
        If a column is lacking, or a cell is not what its feature says.
    """
    table = as_table(rows)
    lacking = [n for n, feature in spec.features.items() if n not in table and not feature.missing]
    if lacking:
        raise TableError(f"Lacking column{'s' * (len(lacking) > 1)}: {', '.join(lacking)}.")
    found = {name: _column(table, name, feature) for name, feature in spec.features.items()}
    return pd.DataFrame(found, index=table.index, columns=list(spec.features))


def as_table(rows: pd.DataFrame | Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return rows as a DataFrame of their own values, with the number of each row as its index."""
    if isinstance(rows, pd.DataFrame):
        return rows
    index = pd.RangeIndex(len(rows), name="row")
    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame(
        {n: pd.Series([row.get(n) for row in rows], index, dtype=object) for n in names}, index
    )


def _column(table: pd.DataFrame, name: str, feature: Feature) -> "pd.Series[Any]":
    is_text = feature.type == "category"
    if name not in table:
        return pd.Series(np.nan, table.index, dtype=object if is_text else np.float64)
    values = table[name].astype(object).to_numpy()
    is_missing = missing_cells(values)
    read = np.full(len(values), np.nan, dtype=object if is_text else np.float64)
    read[~is_missing] = _read(name, feature, table.index[~is_missing], values[~is_missing])
    return pd.Series(read, table.index, dtype=object if is_text else np.float64)


def missing_cells(values: Values) -> NDArray[np.bool_]:
    """Tell which values stand for "not there": None, NaN, pandas' NA and NaT, and the empty text."""
    is_missing = np.asarray(pd.isna(values), dtype=np.bool_)
    is_missing[~is_missing] = values[~is_missing] == ""
    return is_missing


def _read(name: str, feature: Feature, index: "pd.Index[Any]", values: Values) -> NDArray[Any]:
    reader = _READERS[feature.type]
    try:
        return reader(values, feature)
    except UNREADABLE:
        pass  # said below, with the place
    position = _first(lambda value: reader(value, feature), values[:, None])
    kind = columns.describe(Feature(feature.type, written=feature.written))
    problem = f"{columns.shown(values[position])} is not {kind}"
    raise TableError(f"Column {name!r}, {_place(index, position)}: {problem}.")


def _first(read: Callable[[Any], object], values: Iterable[Any]) -> int:
    """Return the position of the first value that cannot be read."""
    for position, value in enumerate(values):
        try:
            read(value)
        except UNREADABLE:
            return position
    raise AssertionError("one of the values cannot be read")  # pragma: no cover


def _place(index: "pd.Index[Any]", position: int) -> str:
    return f"{index.name or 'row'} {index[position]}"


def _numbers(values: Values, feature: Feature) -> Floats:
    if feature.written is not None:
        values = _as_written(values, feature.written)
    # By Python's float, so a text is the very number that JSON would give.
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("not finite")
    return numbers


def _as_written(values: Values, form: Written) -> Values:
    """Return numbers for texts; a text that is none raises ValueError."""
    known = {text: written.read(text, form) for text in set(values.tolist()) if isinstance(text, str)}
    if None in known.values():
        raise ValueError("not written so")
    return np.array([known.get(value, value) for value in values], dtype=object)


def _integers(values: Values, feature: Feature) -> Floats:
    numbers = _numbers(values, feature)
    if (numbers != np.floor(numbers)).any() or (np.abs(numbers) > columns.MAX_EXACT).any():
        raise ValueError("not an integer")
    return numbers


def _by_value(read: Callable[[Any, Feature], object]) -> Callable[[Values, Feature], NDArray[Any]]:
    """Read each distinct value once; the type is part of the key, as True == 1."""

    def reader(values: Values, feature: Feature) -> NDArray[Any]:
        known: dict[tuple[type, Any], object] = {}
        for value in values:
            if (type(value), value) not in known:
                known[type(value), value] = read(value, feature)
        return np.array([known[type(value), value] for value in values], dtype=object)

    return reader


def _boolean(value: Any, feature: Feature) -> float:
    text = str(value).strip().lower()
    if text not in columns.TRUE_TEXTS | columns.FALSE_TEXTS:
        raise ValueError("neither true nor false")
    return float(text in columns.TRUE_TEXTS)


def _date(value: Any, feature: Feature) -> float:
    if isinstance(value, datetime):
        return columns.days(value.isoformat(), None)
    if isinstance(value, date):
        return float((value - columns.EPOCH).days)
    return columns.days(value, feature.format)


def _category(value: Any, feature: Feature) -> str:
    """Text as it is; a whole number without its point, since a gap makes pandas turn 3 into 3.0."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


_READERS: dict[str, Callable[[Values, Feature], NDArray[Any]]] = {
    "number": _numbers,
    "integer": _integers,
    "boolean": _by_value(_boolean),
    "date": _by_value(_date),
    "category": _by_value(_category),
}


def labelled_rows(spec: Spec, table: pd.DataFrame | Sequence[Mapping[str, object]]) -> Rows:
    """Return the rows that have a label, with it.

    Parameters
    ----------
    spec : Spec
        With classes, if a classification; see ``resolving.with_classes``.

    Raises
    ------
    TableError
        If the target or a feature is lacking, no row has a label, or a label is unknown.
    """
    table = as_table(table)
    values = target_values(spec, table)
    is_labelled = ~(missing_cells(values) | _is_unknown(spec, values))
    if not is_labelled.any():
        raise TableError(f"No row has a value in the target column {spec.target.name!r}.")
    y = _labels(spec, table.index[is_labelled], values[is_labelled])
    return Rows(features_frame(spec, table[is_labelled]), y, int((~is_labelled).sum()))


def target_values(spec: Spec, table: pd.DataFrame) -> Values:
    """Return the target column as it is, shape (n_rows,). Raises TableError if there is none."""
    if spec.target.name not in table:
        raise TableError(f"Lacking the target column {spec.target.name!r}.")
    return table[spec.target.name].astype(object).to_numpy()


def _is_unknown(spec: Spec, values: Values) -> NDArray[np.bool_]:
    """Tell which labels stand for "not known", written as text or as number."""
    if not spec.target.unknown:
        return np.zeros(len(values), dtype=np.bool_)
    is_unknown = frozenset(key for label in spec.target.unknown for key in spellings(label))
    return np.array([not is_unknown.isdisjoint(spellings(value)) for value in values], dtype=np.bool_)


def _labels(spec: Spec, index: "pd.Index[Any]", values: Values) -> NDArray[Any]:
    reader = LabelReader(spec)
    try:
        read = _by_value(lambda value, _: reader.read(value))(values, Feature("number"))
    except UnknownLabelError as error:
        position = _first(reader.read, values)
        place = _place(index, position)
        raise TableError(f"Target column {spec.target.name!r}, {place}: {error}.") from None
    return read.astype(np.float64 if spec.task == "regression" else np.int64)


def is_incomplete(spec: Spec, features: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell for each row whether a feature that the spec requires is missing, as serving would refuse it."""
    required = [name for name, feature in spec.features.items() if not feature.missing]
    return features[required].isna().any(axis=1).to_numpy()


def logged_columns(spec: Spec, features: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the features as the log holds them, column by column: None where missing, booleans as such."""
    return {name: _logged(features[name], feature) for name, feature in spec.features.items()}


def _logged(column: "pd.Series[Any]", feature: Feature) -> list[Any]:
    kinds: dict[str, Callable[[Any], Any]] = {"boolean": bool, "integer": int}
    kind = kinds.get(feature.type, lambda value: value)
    return [None if isinstance(v, float) and math.isnan(v) else kind(v) for v in column.tolist()]
