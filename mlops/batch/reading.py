"""Reads one part of a file into columns. Without pyarrow, CSV takes Python's reader: the same rows, slower.

Rows that are none (no JSON, not UTF-8) are set aside with the reason; they stop nothing.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from mlops.batch.cutting import Part
from mlops.batch.places import has_arrow
from model.bulk.cells import Cells, Chunk, ObjectCells, Unreadable
from model.bulk.checking import BulkSchema
from model.columns import shown
from model.csv_body import row_of
from model.schema import parse_json
from utils.errors import BadRequestError, Fault, TableError

ROWS_AT_ONCE = 100_000

Numbered = tuple[int, dict[str, Any]]


def chunks(part: Part, schema: BulkSchema) -> Iterator[Chunk]:
    """Yield the rows of a part."""
    if part.file.kind == "parquet":
        yield from _parquet(part, schema)
    elif part.file.kind == "ndjson":
        yield _ndjson(_content(part), part.first_row, schema)
    else:
        yield _csv(_content(part), part, schema)


def _content(part: Part) -> bytes:
    if part.content is not None:
        return part.content
    with part.file.open() as stream:
        stream.seek(part.start)
        content: bytes = stream.read(part.stop - part.start)
    if len(content) != part.stop - part.start:
        raise TableError(f"{part.file.name}: has become shorter while it was read.")
    return content


def _csv(content: bytes, part: Part, schema: BulkSchema) -> Chunk:
    chunk = _arrow_csv(content, part, schema) if has_arrow() and not part.is_open else None
    return chunk or _plain_csv(content, part, schema)


def _arrow_csv(content: bytes, part: Part, schema: BulkSchema) -> Chunk | None:
    """Return the rows, None where they are not as regular as Arrow wants them."""
    from model.bulk.arrow_cells import CsvRows, TextCells

    features, data = schema.spec.features, part.data or schema.spec.data
    known = [name for name in part.header if name in schema.known]
    numbers = [n for n in known if n in features and features[n].is_plain]
    rows = CsvRows(content, part.header, data)
    try:
        n_rows = rows.load(numbers, [name for name in known if name not in numbers])
    except (ValueError, LookupError):
        return None
    if n_rows != part.n_rows:
        return None
    columns = {name: TextCells(rows, name, features.get(name), data) for name in known}
    return Chunk(_numbers(part), columns, [name for name in part.header if name not in schema.known])


def _numbers(part: Part) -> Any:
    return np.arange(part.first_row, part.first_row + part.n_rows, dtype=np.int64)


def _plain_csv(content: bytes, part: Part, schema: BulkSchema) -> Chunk:
    """Read rows as a request's are read: short ones lack their last fields, long ones have one too many."""
    data, unreadable = part.data or schema.spec.data, []
    csv.field_size_limit(max(csv.field_size_limit(), len(content)))
    text = io.StringIO(content.decode(data.encoding, errors="surrogateescape"), newline="")
    rows = [cells for cells in csv.reader(text, delimiter=data.separator) if cells]
    if len(rows) != part.n_rows:
        where = f"rows {part.first_row} to {part.first_row + part.n_rows - 1}"
        raise TableError(f"{part.file.name}: {where} cannot be told apart; look for lone quotes or returns.")
    kept: list[Numbered] = []
    for number, cells in enumerate(rows, part.first_row):
        if part.is_open and number == part.first_row + part.n_rows - 1:
            fault = Fault("#", "open_quote", "A quote in this row is open to the end of the file.")
            unreadable.append(Unreadable(number, [fault], None))
        elif _is_text(cells):
            kept.append((number, row_of(part.header, cells, schema.spec, data)))
        else:
            fault = Fault("#", "encoding", f"The row is not {data.encoding}.")
            unreadable.append(Unreadable(number, [fault], None))
    return _of_dicts(kept, unreadable, schema, part.header)


def _is_text(cells: Sequence[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _ndjson(content: bytes, first_row: int, schema: BulkSchema) -> Chunk:
    """Read one object a line; the number of a row is that of its line."""
    lines = content.removeprefix(b"\xef\xbb\xbf" if first_row == 1 else b"").split(b"\n")
    numbered = [(number, line) for number, line in enumerate(lines, first_row) if line.strip()]
    try:
        rows = msgspec.json.Decoder().decode_lines(b"\n".join(line for _, line in numbered))
        unreadable: list[Unreadable] = []
        kept = [(number, row) for (number, _), row in zip(numbered, rows, strict=True)]
    except (ValueError, RecursionError, UnicodeError):
        kept, unreadable = _each_line(numbered)
    return _of_dicts(_objects(kept, unreadable), unreadable, schema)


def _each_line(numbered: Sequence[tuple[int, bytes]]) -> tuple[list[tuple[int, Any]], list[Unreadable]]:
    kept, unreadable = [], []
    for number, line in numbered:
        try:
            kept.append((number, parse_json(line)))
        except BadRequestError as error:
            fault = Fault("#", "not_json", error.detail.replace("The body", "The line"))
            unreadable.append(Unreadable(number, [fault], line.decode(errors="replace")))
    return kept, unreadable


def _objects(rows: Sequence[tuple[int, Any]], unreadable: list[Unreadable]) -> list[Numbered]:
    found = []
    for number, row in rows:
        if isinstance(row, dict):
            found.append((number, row))
        else:
            fault = Fault("#", "type", f"{shown(row)} is not an object with fields.")
            unreadable.append(Unreadable(number, [fault], row))
    return found


def _of_dicts(
    rows: Sequence[Numbered],
    unreadable: Sequence[Unreadable],
    schema: BulkSchema,
    common: Sequence[str] = (),
) -> Chunk:
    dicts = [row for _, row in rows]
    names = dict.fromkeys(name for row in dicts for name in row)
    columns: dict[str, Cells] = {
        name: ObjectCells([row.get(name) for row in dicts]) for name in names if name in schema.known
    }
    # A short row lacks its last columns, known or not.
    unknown = [n for n in common if n not in schema.known and all(n in row for row in dicts)]
    odd = {name for name in names if name not in schema.known and name not in unknown}
    unknown_in = {
        i: [n for n in row if n in odd] for i, row in enumerate(dicts) if odd and not odd.isdisjoint(row)
    }
    numbers = np.array([number for number, _ in rows], dtype=np.int64)
    return Chunk(numbers, columns, unknown, unknown_in, unreadable)


def _parquet(part: Part, schema: BulkSchema) -> Iterator[Chunk]:
    from pyarrow import parquet as arrow_parquet

    from model.bulk.arrow_cells import ArrowCells

    with part.file.open() as stream:
        file = arrow_parquet.ParquetFile(stream)
        names = file.schema_arrow.names
        known = [name for name in names if name in schema.known]
        unknown = [name for name in names if name not in schema.known]
        position = 0
        batches = file.iter_batches(ROWS_AT_ONCE, list(part.groups), columns=known, use_threads=False)
        for batch in batches:
            start = max(part.start - position, 0)
            stop = min(part.stop - position, batch.num_rows)
            position += batch.num_rows
            if start < stop:
                rows = batch.slice(start, stop - start)
                first = part.first_row + position - batch.num_rows + start - part.start
                numbers = np.arange(first, first + rows.num_rows, dtype=np.int64)
                features = schema.spec.features
                columns = {n: ArrowCells(rows[n], features.get(n)) for n in known}
                yield Chunk(numbers, columns, unknown)
            if position >= part.stop:
                return
