"""Counts the log: each prediction once, into the cells of its version's reference and its hour.

Rows are read in the order in which their spool shipped them, behind a watermark a spool, so late rows are
found whenever they come and go to the hour in which they were answered.
"""

import logging
from collections import Counter as Counted
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from model.monitoring.outputs import coarse
from model.monitoring.reference import PREDICTION, PROBABILITY, ModelReference
from utils.errors import NotFoundError
from utils.mongo.counts import NOTHING, Cell, CountStore, Parts
from utils.mongo.predictions import PredictionStore
from utils.mongo.raw_rows import Column, LoggedColumns

log = logging.getLogger(__name__)

BATCH = 20_000
# Each hour of a model is one document to change: rows spread over more are counted in smaller batches, so
# that a transaction stays short.
MAX_HOURS = 200
HOUR_MS = 3_600_000
WARNINGS = "@warnings"
MAX_REASONS = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

References = Callable[[str, str], ModelReference]


class Counter:
    """Counts new rows of all models.

    ``batch`` is the number of rows between two moves of a watermark.
    """

    def __init__(
        self, predictions: PredictionStore, counts: CountStore, references: References, batch: int = BATCH
    ) -> None:
        self._predictions = predictions
        self._counts = counts
        self._references = references
        self._batch = batch

    def count_new(self) -> int:
        """Count every stored row that is not counted yet; returns how many were counted here.

        Any number of counters may be at work; they share the rows.

        Raises UnavailableError while MongoDB is away; what was counted until then stays counted.
        """
        counted, stored = self._counts.watermarks(), self._predictions.last_positions()
        behind = {spool: counted.get(spool, NOTHING) for spool in stored}
        return sum(self._count_spool(s, before) for s, before in behind.items() if before < stored[s])

    def _count_spool(self, spool: str, before: int) -> int:
        counted, limit = 0, self._batch
        while tables := self._predictions.after(spool, before, limit):
            if limit > 1 and n_hours(tables) > MAX_HOURS:
                limit = max(1, limit // 8)
                continue
            after = max(int(table.seq.max()) for table in tables)
            batch = _Batch(tables, before, self._references)
            n_rows, before = self._counts.commit(
                spool, before, after, batch.cells(), batch.rows_since, self._add
            )
            counted, limit = counted + n_rows, min(self._batch, limit * 2)
        return counted

    def _add(self, cell: Cell, one: Parts, other: Parts) -> Parts:
        return summed(self._references(cell.model, cell.version), one, other)


class _Batch:
    """Rows of a spool behind a position, counted by cell when they are asked for."""

    def __init__(self, tables: Sequence[LoggedColumns], before: int, references: References) -> None:
        self._tables = {(table.model, table.version): table for table in tables}
        self._before = before
        self._references = references
        self._counted: dict[Cell, tuple[int, Parts]] = {}

    def cells(self) -> Iterator[Cell]:
        """Yield the cells that have rows; rows of a version without a reference are left out."""
        for (model, version), table in self._tables.items():
            try:
                reference = self._references(model, version)
            except NotFoundError:
                log.warning("%d rows of %s %s have no reference to count by", len(table), model, version)
                continue
            for hour, n_rows, parts in by_hour(table, reference):
                cell = Cell(model, version, hour)
                self._counted[cell] = (n_rows, parts)
                yield cell

    def rows_since(self, cell: Cell, seq: int) -> tuple[int, Parts]:
        """Count the rows of a cell behind a position."""
        if seq == self._before:
            return self._counted[cell]
        table = self._tables[cell.model, cell.version]
        is_new = (table.seq > seq) & (table.at_ms // HOUR_MS == (cell.hour - EPOCH) // timedelta(hours=1))
        chosen = table.take(np.flatnonzero(is_new))
        reference = self._references(cell.model, cell.version)
        return len(chosen), parts_of(chosen, reference)


def n_hours(tables: Sequence[LoggedColumns]) -> int:
    """Return in how many hours rows were answered, each version's counted apart."""
    return sum(len(np.unique(table.at_ms // HOUR_MS)) for table in tables)


def by_hour(table: LoggedColumns, reference: ModelReference) -> Iterator[tuple[datetime, int, Parts]]:
    """Count rows of one model version; yields the start of each hour, its rows and their counts."""
    hours, which, n_each = np.unique(table.at_ms // HOUR_MS, return_inverse=True, return_counts=True)
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(n_each)
    for hour, n_rows, end in zip(hours.tolist(), n_each.tolist(), ends.tolist(), strict=True):
        chosen = table if len(hours) == 1 else table.take(order[end - n_rows : end])
        yield EPOCH + timedelta(hours=hour), n_rows, parts_of(chosen, reference)


def parts_of(table: LoggedColumns, reference: ModelReference) -> Parts:
    """Count rows of one model version: cells, and warnings by reason."""
    parts = reference.count(columns_of(table, reference)).to_parts()
    given = (one for some in table.warnings if some for one in some)
    tally = Counted(f"{one.get('code')} {one.get('feature')}" for one in given)
    return parts | _packed(tally)


def summed(reference: ModelReference, one: Parts, other: Parts) -> Parts:
    """Return the sum of two counts."""
    counts = reference.total([reference.counts_from(one), reference.counts_from(other)])
    return counts.to_parts() | _packed(warnings_in([one, other]))


def warnings_in(counted: Iterable[Parts]) -> Counted[str]:
    """Return how many rows had which warning, as code and feature."""
    total: Counted[str] = Counted()
    for parts in counted:
        if WARNINGS in parts:
            total.update(msgspec.json.decode(parts[WARNINGS], type=dict[str, int]))
    return total


def _packed(tally: Counted[str]) -> dict[str, bytes]:
    # Features are few and known, but a name may hold anything: the most frequent ones are kept.
    kept = dict(tally.most_common(MAX_REASONS))
    return {WARNINGS: msgspec.json.encode(dict(sorted(kept.items())))} if kept else {}


def hour_of(moment: datetime) -> datetime:
    """Return the start of the hour that ``moment`` is in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def columns_of(table: LoggedColumns, reference: ModelReference) -> Mapping[str, Column]:
    """Return logged rows column by column, features and outputs, as ``ModelReference.count`` takes them."""
    columns: dict[str, Column] = {
        name: table.features[name] for name in reference.features if name in table.features
    }
    columns[PREDICTION] = table.prediction
    columns[PROBABILITY] = coarse(_as_list(table.probability))
    return columns


def _as_list(column: Column) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else column
