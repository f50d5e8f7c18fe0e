"""Cuts files into parts of about equal size, at the ends of rows, and counts the rows.

A plain file is only looked through, and workers read their parts themselves; a compressed one is unpacked
here and its parts carry their content. Whatever runs twice over the same files cuts them the same.
"""

import codecs
import csv
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.batch.places import File
from model.csv_body import header_of
from model.spec import Data, Spec
from utils.errors import TableError

PART_BYTES = 8 * 2**20
LONGEST_ROW_BYTES = 64 * 2**20
ROW_BYTES = 80  # about; rows of Parquet files are counted by it
NEWLINE, RETURN = 10, 13
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Consecutive rows of one file, before they have a place among those of others.

    Attributes
    ----------
    n_rows : int
        How many there are; of NDJSON, lines.
    n_bytes : int
        Its share of the size of the file, for telling progress.
    header : tuple of str
        Names of the columns of a CSV file.
    data : Data, optional
        How a CSV file is written.
    start, stop : int
        Where in the file it is: bytes, or rows of the row groups of a Parquet file.
    groups : tuple of int
        Row groups of a Parquet file.
    content : bytes, optional
        Its rows, where the file is compressed.
    is_open : bool
        Whether a quote in the last row is open to the end of the file.
    """

    n_rows: int
    n_bytes: int
    header: tuple[str, ...] = ()
    data: Data | None = None
    start: int = 0
    stop: int = 0
    groups: tuple[int, ...] = ()
    content: bytes | None = None
    is_open: bool = False


@dataclass(frozen=True, kw_only=True)
class Part(Cut):
    """A cut in its place.

    Attributes
    ----------
    index : int
        Position among the parts of all files.
    first : int
        Position of its first row among the rows of all files.
    first_row : int
        Number of its first row in its file; the first row there is 1.
    """

    index: int
    file: File
    first: int
    first_row: int


def parts(files: Sequence[File], spec: Spec, part_bytes: int = PART_BYTES) -> Iterator[Part]:
    """Yield the parts of all files in order.

    Raises
    ------
    TableError
        If a file has no header, or a row has no end.
    """
    index = first = 0
    for file in files:
        first_row = 1
        for cut in _cuts(file, spec, part_bytes):
            yield Part(index=index, file=file, first=first, first_row=first_row, **vars(cut))
            index, first, first_row = index + 1, first + cut.n_rows, first_row + cut.n_rows


def _cuts(file: File, spec: Spec, part_bytes: int) -> Iterator[Cut]:
    try:
        if file.kind == "parquet":
            yield from _row_groups(file, part_bytes)
            return
        with file.open() as stream:
            yield from _pieces(file, stream, spec, part_bytes)
    except UNREADABLE as error:
        raise TableError(f"{file.name}: cannot be read. {error}") from None


@dataclass(frozen=True)
class _Header:
    names: tuple[str, ...]
    data: Data
    n_bytes: int


def _header(file: File, stream: Any, spec: Spec) -> _Header:
    """Read the header; the stream is then where the first row below it begins."""
    line = stream.readline(LONGEST_ROW_BYTES)
    while not _is_whole(line):
        more = stream.readline(LONGEST_ROW_BYTES)
        if not more:
            break
        if len(line) > LONGEST_ROW_BYTES:
            raise TableError(f"{file.name}: the header has no end; a quote is open.")
        line += more
    try:
        names, data = header_of(line.decode(spec.data.encoding).removeprefix("\ufeff"), spec)
    except UnicodeDecodeError:
        is_wide = line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        found = ": this is UTF-16, which cannot be cut into rows" if is_wide else ""
        raise TableError(f"{file.name}: the header is not {spec.data.encoding}{found}.") from None
    except csv.Error as error:
        raise TableError(f"{file.name}: the header cannot be read: {error}.") from None
    if not names:
        raise TableError(f"{file.name}: is empty; a header with the names of the columns is needed.")
    return _Header(tuple(names), data, len(line))


def _is_whole(line: bytes) -> bool:
    """Tell whether this is a header: more than empty lines, and no name goes on in the next line."""
    return line.endswith(b"\n") and bool(line.strip()) and line.count(b'"') % 2 == 0


def _pieces(file: File, stream: Any, spec: Spec, part_bytes: int) -> Iterator[Cut]:
    header = _header(file, stream, spec) if file.kind == "csv" else _Header((), spec.data, 0)
    ends = _CsvEnds(header.data.separator) if file.kind == "csv" else _line_ends
    start, rest = header.n_bytes, b""
    while True:
        block = stream.read(part_bytes)
        content = rest + block
        n_rows, length, is_open = ends(content, not block)
        if n_rows:
            n_bytes = _share(file, stream, length)
            packed = content[:length] if file.compression else None
            yield Cut(
                n_rows=n_rows, n_bytes=n_bytes, header=header.names, data=header.data,
                start=start, stop=start + length, content=packed, is_open=is_open,
            )  # fmt: skip
        start, rest = start + length, content[length:]
        if not block:
            return
        if len(rest) > max(LONGEST_ROW_BYTES, 2 * part_bytes):
            raise TableError(f"{file.name}: a row that begins at byte {start} has no end; a quote is open.")


def _share(file: File, stream: Any, length: int) -> int:
    """Return the bytes of a piece as stored; of a compressed file that is a guess."""
    return length if file.compression is None else max(1, length // 4)


def _line_ends(content: bytes, is_last: bool) -> tuple[int, int, bool]:
    """Return the number of whole lines, where the last one ends, and that no quote is open there."""
    stop = len(content) if is_last else content.rfind(b"\n") + 1
    n_lines = content.count(b"\n", 0, stop)
    return n_lines + (stop > 0 and content[stop - 1] != NEWLINE), stop, False


class _CsvEnds:
    """Finds where rows of CSV end: at line ends outside of quotes; empty lines are no rows."""

    def __init__(self, separator: str) -> None:
        before = re.escape(separator.encode())
        # A quote opens a field only where the field begins.
        self._quoted = re.compile(rb"(?:(?<=[\n\r]|" + before + rb')|\A)"(?:[^"]|"")*+("(?!")|\Z)')

    def __call__(self, content: bytes, is_last: bool) -> tuple[int, int, bool]:
        """Return the number of whole rows, where the last one ends, and whether a quote is open there."""
        line_ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == NEWLINE)
        limit = len(content)
        if b'"' in content:
            line_ends, limit = self._outside(content, line_ends)
        if not is_last:
            line_ends = line_ends[line_ends < limit]
        stop = len(content) if is_last else int(line_ends[-1]) + 1 if len(line_ends) else 0
        starts = np.concatenate([[0], line_ends + 1])
        stops = np.concatenate([line_ends, [stop]])
        return int(_has_text(content, starts, stops).sum()), stop, limit < stop

    def _outside(self, content: bytes, line_ends: NDArray[np.intp]) -> tuple[NDArray[np.intp], int]:
        """Return the line ends outside of quotes, and where a field begins that is still open."""
        spans = [(found.start(), found.end(), bool(found[1])) for found in self._quoted.finditer(content)]
        if not spans:
            return line_ends, len(content)
        begins = np.array([begin for begin, _, _ in spans])
        ends = np.array([end for _, end, _ in spans])
        span = np.searchsorted(begins, line_ends, side="right") - 1
        is_inside = (span >= 0) & (line_ends < ends[span])
        return line_ends[~is_inside], len(content) if spans[-1][2] else spans[-1][0]


def _has_text(content: bytes, starts: NDArray[np.intp], stops: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell which rows are more than a line end."""
    letters = np.frombuffer(content + b"\n", dtype=np.uint8)
    lengths = stops - starts
    is_more: NDArray[np.bool_] = (lengths > 1) | ((lengths == 1) & (letters[starts] != RETURN))
    return is_more


def _row_groups(file: File, part_bytes: int) -> Iterator[Cut]:
    """Cut large row groups, and put small ones together."""
    parquet = _parquet(file)
    counts = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
    per_row = file.size / max(1, sum(counts))
    group, largest = 0, max(1, part_bytes // ROW_BYTES)
    while group < len(counts):
        end, n_rows = group + 1, counts[group]
        while end < len(counts) and n_rows + counts[end] <= largest:
            end, n_rows = end + 1, n_rows + counts[end]
        # A part of a row group is found by reading all before it, so there are few of them.
        size = max(largest, -(-n_rows // 8))
        for start in range(0, n_rows, size):
            stop = min(start + size, n_rows)
            count = stop - start
            groups = tuple(range(group, end))
            yield Cut(n_rows=count, n_bytes=int(count * per_row), start=start, stop=stop, groups=groups)
        group = end


def _parquet(file: File) -> Any:
    from pyarrow import ArrowInvalid
    from pyarrow import parquet as arrow_parquet

    try:
        return arrow_parquet.ParquetFile(file.open())
    except ArrowInvalid as error:
        raise TableError(f"{file.name}: is no Parquet file. {error}") from None


def columns_of(file: File, spec: Spec) -> tuple[str, ...] | None:
    """Return the names of the columns of a file; None where each row has its own. Raises TableError."""
    if file.kind == "ndjson":
        return None
    if file.kind == "parquet":
        return tuple(_parquet(file).schema_arrow.names)
    try:
        with file.open() as stream:
            return _header(file, stream, spec).names
    except UNREADABLE as error:
        raise TableError(f"{file.name}: cannot be read. {error}") from None
