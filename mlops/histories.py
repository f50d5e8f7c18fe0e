"""Tables for a backtest: a history with its times, and the reference it is compared with.

Reads leniently: what a cell cannot be is counted as a type fault, as the log would have it.
"""

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops.backtesting import BacktestError, counted, taken
from model import frame
from model.labels import LabelReader, UnknownLabelError
from model.monitoring import PREDICTION, PROBABILITY, ModelReference
from model.monitoring.dependence import MIN_WINDOWS, neighbour_effects
from model.monitoring.outputs import coarse
from model.references import fit_inputs
from model.spec import Feature, Spec
from utils.errors import TableError

Ints = NDArray[np.int64]

LABEL = "@label"
ERROR = "@error"
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MS = {"ms": 1e11, "us": 1e14, "ns": 1e17}  # an instant of our time in this unit is larger
YEARS = (1_000, 3_000)
HALF = 0.5
SHARE_OF_HISTORY = 4  # outputs that training has no column of are learnt from the first quarter


@dataclass(frozen=True)
class Question:
    """What is asked: columns of the history with time, predictions and labels."""

    at: str
    predictions: str | None = None
    labels: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the columns that are no features."""
        return [name for name in (self.at, self.predictions, self.labels) if name is not None]


@dataclass(frozen=True)
class Table:
    """Rows of a history or of training: as read, as columns by feature or output, and their times, if any."""

    raw: pd.DataFrame
    columns: dict[str, Any]
    at_ms: Ints | None

    @property
    def n_rows(self) -> int:
        """Rows."""
        return len(self.raw)

    def take(self, rows: NDArray[Any]) -> "Table":
        """Return some rows, by place."""
        at_ms = None if self.at_ms is None else self.at_ms[rows]
        return Table(self.raw.iloc[rows], taken(self.columns, rows), at_ms)

    def by_time(self) -> Ints:
        """Return the places of the rows from the earliest to the latest."""
        if self.at_ms is None:
            return np.arange(self.n_rows)
        return np.argsort(self.at_ms, kind="stable")


@dataclass(frozen=True)
class Base:
    """What a history is compared with, and what to know about it."""

    reference: ModelReference
    effects: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def window_of(text: str) -> timedelta:
    """Read a length of time: 90 (seconds), 30min, 6h, 1d, 2w.

    >>> window_of("1d"), window_of("30min")
    (datetime.timedelta(days=1), datetime.timedelta(seconds=1800))

    Raises
    ------
    ValueError
        If it is none, or none above zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)?", text.strip().lower())
    length = timedelta(seconds=float(found[1]) * UNITS[found[2] or "s"]) if found else timedelta()
    if length < timedelta(milliseconds=1):
        raise ValueError(f"{text!r} is no length of time; 30min, 6h, 1d and 2w are")
    return length


def watched(spec: Spec, question: Question) -> Spec:
    """Return the spec without features that are the history's time, prediction or label."""
    features = {name: one for name, one in spec.features.items() if name not in question.names}
    if not features:
        raise BacktestError(f"{spec.name} has no feature besides {', '.join(question.names)}.")
    return msgspec.structs.replace(spec, features=features)


def read(path: Path, spec: Spec, question: Question, *, is_history: bool) -> Table:
    """Read a table; times, predictions and labels may be lacking where it is not the history.

    Raises
    ------
    TableError
        If the file cannot be read.
    BacktestError
        If the history lacks a column that was asked for, or a time cannot be read.
    """
    table = frame.read_table(path, spec).reset_index(drop=True)
    more = _further(path, spec, [name for name in question.names if name not in table], len(table))
    table = table.assign(**more)
    lacking = [name for name in question.names if name not in table]
    if is_history and lacking:
        raise BacktestError(f"{path.name} has no column {', '.join(map(repr, lacking))}.")
    at_ms = instants(table[question.at], question.at) if question.at in table else None
    columns = {n: _logged(spec, n, one, table) for n, one in spec.features.items() if n in table}
    return Table(table, columns | _outputs(spec, question, table), at_ms)


def _further(path: Path, spec: Spec, names: Iterable[str], n_rows: int) -> dict[str, Any]:
    wanted = set(names)
    if path.suffix == ".parquet":
        whole = pd.read_parquet(path)
        return {name: whole[name].to_numpy() for name in wanted if name in whole}
    found = pd.read_csv(
        path,
        usecols=lambda name: name in wanted,
        dtype=object,
        keep_default_na=False,
        na_values=list(spec.data.missing_values),
        encoding="utf-8-sig",
    )
    return {str(name): found[name].to_numpy() for name in found} if len(found) == n_rows else {}


def instants(column: "pd.Series[Any]", name: str) -> Ints:
    """Return times in milliseconds since 1970: texts of any usual form (UTC if no zone is said) or numbers.

    Numbers are years from 1000 to 2999, else seconds, or milliseconds and smaller where they are as large as
    those are today.

    Raises
    ------
    BacktestError
        Naming the first cell that is no time.
    """
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        return _from_numbers(numbers.to_numpy(dtype=np.float64))
    for form, is_day_first in ((None, False), ("ISO8601", False), (None, True), ("mixed", False)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pandas, that it reads one by one
            found = pd.to_datetime(column, errors="coerce", utc=True, format=form, dayfirst=is_day_first)
        if found.notna().all():
            return found.to_numpy(dtype="datetime64[ms]").astype(np.int64)
    place = int(np.flatnonzero(found.isna())[0])
    raise BacktestError(f"Column {name!r}, row {place + 1}: {column.iloc[place]!r} is no time.")


def _from_numbers(numbers: NDArray[np.float64]) -> Ints:
    low, high = float(numbers.min(initial=math.inf)), float(numbers.max(initial=-math.inf))
    if low >= YEARS[0] and high < YEARS[1] and (numbers == np.floor(numbers)).all():
        years = (numbers.astype(np.int64) - 1970).astype("datetime64[Y]")
        return years.astype("datetime64[ms]").astype(np.int64)
    units = [unit for unit, least in MS.items() if abs(high) > least]
    factor = {"ms": 1.0, "us": 1e-3, "ns": 1e-6}[units[-1]] if units else 1e3
    return np.floor(numbers * factor).astype(np.int64)


def _logged(spec: Spec, name: str, feature: Feature, table: pd.DataFrame) -> list[Any]:
    """Return a column as the log would hold it."""
    alone = msgspec.structs.replace(spec, features={name: feature})
    try:
        return frame.logged_columns(alone, frame.features_frame(alone, table[[name]]))[name]
    except TableError:
        values = table[name].astype(object).to_numpy()
        is_missing = frame.missing_cells(values)
        is_number = feature.type in ("number", "integer")
        return [
            None if missing else _number(value) if is_number else value
            for value, missing in zip(values.tolist(), is_missing.tolist(), strict=True)
        ]


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _outputs(spec: Spec, question: Question, table: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, column in ((PREDICTION, question.predictions), (LABEL, question.labels)):
        if column is not None and column in table:
            found[name] = _answers(spec, table[column])
    answered, true = found.get(PREDICTION), found.get(LABEL)
    if answered is not None and true is not None:
        found[ERROR] = _errors(spec, answered, true)
    if answered is not None and _are_probabilities(spec, answered):
        found[PROBABILITY] = coarse(found.pop(PREDICTION))
    return found


def _answers(spec: Spec, column: "pd.Series[Any]") -> list[Any]:
    values = column.astype(object).to_numpy()
    is_missing = frame.missing_cells(values)
    pairs = zip(values.tolist(), is_missing.tolist(), strict=True)
    return [None if missing else _number(value) for value, missing in pairs]


def _are_probabilities(spec: Spec, values: list[Any]) -> bool:
    if spec.task == "regression":
        return False
    there = [value for value in values if value is not None]
    are_shares = all(isinstance(value, float) and 0 <= value <= 1 for value in there)
    return are_shares and any(value not in (0.0, 1.0) for value in there)


def _errors(spec: Spec, answers: list[Any], labels: list[Any]) -> list[Any]:
    pairs = zip(answers, labels, strict=True)
    if spec.task == "regression":
        return [a - b if isinstance(a, float) and isinstance(b, float) else None for a, b in pairs]
    positive = spec.positive_index
    if _are_probabilities(spec, answers) and positive is not None:
        reader = LabelReader(spec)
        codes = [None if a is None else positive if a >= HALF else 1 - positive for a in answers]
        pairs = zip(codes, [_code(reader, label) for label in labels], strict=True)
    return [None if a is None or b is None else "right" if a == b else "wrong" for a, b in pairs]


def _code(reader: LabelReader, label: Any) -> float | None:
    try:
        return None if label is None else reader.read(label)
    except UnknownLabelError:
        return None


def fitted(spec: Spec, training: Table, history: Table, window: timedelta) -> Base:
    """Learn a reference from training rows, and of outputs that these lack from the history's beginning."""
    features = frame.features_frame(spec, training.raw)
    inputs = fit_inputs(spec, features[~frame.is_incomplete(spec, features)])
    return with_outputs(spec, Base(inputs), training, history, window)


def with_outputs(spec: Spec, base: Base, training: Table | None, history: Table, window: timedelta) -> Base:
    """Add references of the history's outputs that ``base`` lacks, drop those that the history lacks, and
    learn how much rows depend on each other where training has times."""
    kept = {n: one for n, one in base.reference.features.items() if not one.is_output or n in history.columns}
    reference, notes = replace(base.reference, features=kept), list(base.notes)
    for name in (PREDICTION, PROBABILITY, LABEL, ERROR):
        if name in history.columns and name not in kept:
            column = training.columns.get(name) if training else None
            if column is None:
                column = _first_part(history, name)
                notes.append(f"{name[1:]}: compared with the first quarter of the history")
            kind: Any = "number" if _is_number(spec, name) else "category"
            reference = reference.with_outputs(ModelReference.fit({name: column}, {name: kind}))
    effects: Mapping[str, float] = {}
    if training is not None and training.at_ms is not None:
        periods = counted(reference, training.columns, training.at_ms, window).counts
        if sum(period.n_rows > 0 for period in periods) >= MIN_WINDOWS:
            effects = neighbour_effects(reference, periods)
    if not effects:
        notes.append("rows are taken for independent: training has no times, or fewer than ten windows")
    return Base(reference, effects, tuple(notes))


def _is_number(spec: Spec, name: str) -> bool:
    return name == PROBABILITY or spec.task == "regression"


def _first_part(history: Table, name: str) -> list[Any]:
    rows = history.by_time()[: max(1, history.n_rows // SHARE_OF_HISTORY)]
    return list(taken({name: history.columns[name]}, rows)[name])
