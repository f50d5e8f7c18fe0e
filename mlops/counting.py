"""Counts the log: each prediction once, into the cells of its version's reference and its hour.

Rows are read in the order in which their spool shipped them, behind a watermark a spool, so late rows are
found whenever they come and go to the hour in which they were answered.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from model.monitoring.outputs import coarse
from model.monitoring.reference import PREDICTION, PROBABILITY, ModelCounts, ModelReference
from utils.errors import ConflictError, NotFoundError
from utils.mongo.counts import NOTHING, Cell, CountStore, Parts
from utils.mongo.predictions import PredictionStore

log = logging.getLogger(__name__)

BATCH = 5_000
FIELDS = ("seq", "model", "version", "at", "features", "prediction", "probability")

References = Callable[[str, str], ModelReference]
Row = Mapping[str, Any]


class Counter:
    """Counts new rows of all models."""

    def __init__(self, predictions: PredictionStore, counts: CountStore, references: References) -> None:
        self._predictions = predictions
        self._counts = counts
        self._references = references

    def count_new(self) -> int:
        """Count every stored row that is not counted yet; returns how many there were.

        Raises UnavailableError while MongoDB is away; what was counted until then stays counted.
        """
        counted, stored = self._counts.watermarks(), self._predictions.last_positions()
        behind = {spool: counted.get(spool, NOTHING) for spool in stored}
        return sum(self._count_spool(s, before) for s, before in behind.items() if before < stored[s])

    def _count_spool(self, spool: str, before: int) -> int:
        counted = 0
        while rows := self._predictions.after(spool, before, BATCH, fields=FIELDS):
            after = int(rows[-1]["seq"])
            try:
                self._counts.commit(spool, before, after, self._counted(rows), self._add)
            except ConflictError:
                # Another clock counts this spool right now; it will not leave rows behind.
                return counted
            counted += len(rows)
            before = after
        return counted

    def _counted(self, rows: Sequence[Row]) -> dict[Cell, tuple[int, Parts]]:
        groups: dict[Cell, list[Row]] = defaultdict(list)
        for row in rows:
            groups[Cell(row["model"], row["version"], hour_of(row["at"]))].append(row)
        found = {cell: (len(group), self._parts(cell, group)) for cell, group in groups.items()}
        return {cell: (n_rows, parts) for cell, (n_rows, parts) in found.items() if parts is not None}

    def _parts(self, cell: Cell, rows: Sequence[Row]) -> Parts | None:
        try:
            reference = self._references(cell.model, cell.version)
        except NotFoundError:
            log.warning("%d rows of %s %s have no reference to count by", len(rows), cell.model, cell.version)
            return None
        return reference.count(columns_of(rows, reference)).to_parts()

    def _add(self, cell: Cell, one: Parts, other: Parts) -> Parts:
        reference = self._references(cell.model, cell.version)
        total: ModelCounts = reference.total([reference.counts_from(one), reference.counts_from(other)])
        return total.to_parts()


def hour_of(moment: datetime) -> datetime:
    """Return the start of the hour that ``moment`` is in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def columns_of(rows: Sequence[Row], reference: ModelReference) -> dict[str, list[Any]]:
    """Return logged rows column by column, features and outputs, as ``ModelReference.count`` takes them."""
    columns = {name: [row["features"].get(name) for row in rows] for name in reference.features}
    columns[PREDICTION] = [row["prediction"] for row in rows]
    columns[PROBABILITY] = coarse(row["probability"] for row in rows)
    return columns
