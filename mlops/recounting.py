"""Counts made again from raw rows: a map over parts of the log, or of a Parquet file, and a sum.

The map needs nothing but its arguments, so it runs in any process of any machine; the same counting as in
production makes the counts. Knows no cluster: ``recount_command`` brings one.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mlops.counting import by_hour, summed, warnings_in
from mlops.sealing import Sealing
from model.monitoring.reference import ModelReference
from utils.mongo import connection
from utils.mongo.counts import Cell, CountStore, Parts
from utils.mongo.predictions import IdRange, PredictionStore
from utils.mongo.raw_rows import LoggedColumns

BATCH = 20_000
FILE = "file-"  # begins the name of a file as a source of counts
Counted = dict[tuple[str, datetime], tuple[int, Parts]]


@dataclass(frozen=True)
class LogPart:
    """Rows of one model of the log: those of a range of ids, up to a position of each spool.

    ``references`` are the bytes of the references by version; rows of other versions are left out.
    ``sealing`` opens what is kept encrypted.
    """

    uri: str = field(repr=False)
    db: str
    model: str
    ids: IdRange
    positions: Mapping[str, int]
    references: Mapping[str, bytes] = field(repr=False)
    sealing: Sealing | None = None


def count_log(part: LogPart) -> Counted:
    """Count one part of the log by version and hour.

    Raises UnavailableError while MongoDB is away.
    """
    db = connection.connect(part.uri, part.db)
    try:
        tables = PredictionStore(db, part.sealing).in_range(part.model, part.ids, part.positions, BATCH)
        return _counted(tables, _opened(part.references))
    finally:
        connection.close(db)


@dataclass(frozen=True)
class FilePart:
    """Rows of one row group of a Parquet file, counted with the cells of one version."""

    path: Path
    group: int
    at: str
    model: str
    version: str
    reference: bytes = field(repr=False)
    outputs: Mapping[str, str] = field(default_factory=dict)


def count_file(part: FilePart) -> Counted:
    """Count one row group by hour; a column that is lacking counts as missing."""
    import pyarrow  # a second to import, which the log does without
    from pyarrow import parquet

    table = parquet.ParquetFile(part.path).read_row_group(part.group)
    named = {name: table.column(name).to_pylist() for name in table.column_names}
    nothing = [None] * table.num_rows
    at_ms = table.column(part.at).cast(pyarrow.timestamp("ms", "UTC"), safe=False).cast(pyarrow.int64())
    rows = LoggedColumns(
        part.model,
        part.version,
        np.arange(table.num_rows),
        at_ms.to_numpy(),
        {name: column for name, column in named.items() if name != part.at},
        named.get(part.outputs.get("prediction", ""), nothing),
        named.get(part.outputs.get("probability", ""), nothing),
        nothing,
    )
    return _counted([[rows]], _opened({part.version: part.reference}))


def _opened(references: Mapping[str, bytes]) -> dict[str, ModelReference]:
    return {version: ModelReference.from_bytes(content) for version, content in references.items()}


def _counted(batches: Iterable[Iterable[LoggedColumns]], references: Mapping[str, ModelReference]) -> Counted:
    total: Counted = {}
    for tables in batches:
        total = added(total, dict(_of_tables(tables, references)), references)
    return total


def _of_tables(
    tables: Iterable[LoggedColumns], references: Mapping[str, ModelReference]
) -> Iterator[tuple[tuple[str, datetime], tuple[int, Parts]]]:
    for table in tables:
        if table.version in references:
            for hour, n_rows, parts in by_hour(table, references[table.version]):
                yield (table.version, hour), (n_rows, parts)


def added(one: Counted, other: Counted, references: Mapping[str, ModelReference]) -> Counted:
    """Return the sum of two counts."""
    total = dict(one)
    for key, (n_rows, parts) in other.items():
        known = total.get(key)
        total[key] = (n_rows, parts) if known is None else _sum(references[key[0]], known, (n_rows, parts))
    return total


def _sum(reference: ModelReference, one: tuple[int, Parts], other: tuple[int, Parts]) -> tuple[int, Parts]:
    return one[0] + other[0], summed(reference, one[1], other[1])


def sum_of(counted: Iterable[Counted], references: Mapping[str, bytes]) -> Counted:
    """Return the sum of what the parts gave."""
    opened = _opened(references)
    total: Counted = {}
    for one in counted:
        total = added(total, one, opened)
    return total


@dataclass(frozen=True)
class Comparison:
    """Counts made again beside those that are kept: hours, those that files filled in, which cannot be
    compared with the log, and the keys of those that differ."""

    n_rows: int
    n_hours: int
    n_filled: int
    differing: list[str]

    def to_document(self) -> dict[str, Any]:
        """Return a dict of JSON types."""
        hours = {"hours": self.n_hours, "hours_from_files": self.n_filled}
        return {"rows": self.n_rows, **hours, "differing": self.differing}


def compared(
    counts: CountStore, model: str, found: Counted, references: Mapping[str, ModelReference]
) -> Comparison:
    """Compare counts made again with the kept ones of the same versions."""
    differing, n_filled = [], 0
    hours = {version: counts.all_hours(model, version) for version in references}
    for version, reference in references.items():
        known = hours[version]
        again = {hour: parts for (whose, hour), (_, parts) in found.items() if whose == version}
        filled = counts.filled_hours(model, version, FILE)
        n_filled += len(filled)
        for hour in sorted((known.keys() | again.keys()) - filled):
            left, right = (one.get(hour, {}) for one in (known, again))
            is_same = reference.counts_from(left) == reference.counts_from(right)
            if not is_same or warnings_in([left]) != warnings_in([right]):
                differing.append(Cell(model, version, hour).key)
    n_rows = sum(n for n, _ in found.values())
    return Comparison(n_rows, sum(map(len, hours.values())), n_filled, differing)


def fill(
    counts: CountStore, model: str, found: Counted, source: str, references: Mapping[str, ModelReference]
) -> int:
    """Add counts of a file to the kept ones, once however often it is filled in; returns rows added."""
    n_all = sum(n_rows for n_rows, _ in found.values())
    cells = {Cell(model, version, hour): value for (version, hour), value in found.items()}

    def add(cell: Cell, one: Parts, other: Parts) -> Parts:
        return summed(references[cell.version], one, other)

    n_rows, _ = counts.commit(source, -1, n_all, list(cells), lambda cell, _: cells[cell], add)
    return n_rows


def digest_of(path: Path) -> str:
    """Return a name for the content of a file."""
    with path.open("rb") as file:
        return f"{FILE}{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}"
