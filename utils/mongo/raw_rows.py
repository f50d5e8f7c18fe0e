"""Raw BSON of logged rows to columns, without a Python object a row.

Rows of one model look alike: the same names in the same order, mostly of the same types. So documents of one
length are laid under each other as a matrix of bytes; those that agree in every byte that is not a value have
their values read column by column. What does not fit is decoded one by one, with the same result.

Knows the form of the log's documents and nothing of what is counted.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import bson
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Column = NDArray[Any] | list[Any]
Path = tuple[str, ...]

MIN_ALIKE = 16  # fewer rows of one form are decoded as cheaply one by one
MAX_FORMS = 64  # forms looked for among documents of one length
_EMPTY = 5  # bytes of an array without items
_FIXED_SIZES = {0x01: 8, 0x08: 1, 0x09: 8, 0x10: 4, 0x12: 8, 0x0A: 0}
_DTYPES = {0x01: "<f8", 0x09: "<i8", 0x10: "<i4", 0x12: "<i8"}
_STRING, _DOCUMENT, _ARRAY, _BOOLEAN, _INSTANT, _NULL = 0x02, 0x03, 0x04, 0x08, 0x09, 0x0A
_WHOSE: tuple[Path, ...] = (("model",), ("version",))
_WARNINGS: Path = ("warnings",)


@dataclass(frozen=True)
class LoggedColumns:
    """Rows of one model version, column by column, in any order that is the same for all columns.

    ``at_ms`` are milliseconds since 1970. A column is an array of numbers (NaN where missing) or truth
    values, or a list of anything; a feature that no row has is not there. ``warnings`` are those of each row,
    None for none.
    """

    model: str
    version: str
    seq: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    features: Mapping[str, Column]
    prediction: Column
    probability: Column
    warnings: Sequence[Sequence[Mapping[str, Any]] | None]

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, rows: NDArray[np.intp]) -> "LoggedColumns":
        """Return the rows at these places."""
        return LoggedColumns(
            self.model,
            self.version,
            self.seq[rows],
            self.at_ms[rows],
            {name: _taken(column, rows) for name, column in self.features.items()},
            _taken(self.prediction, rows),
            _taken(self.probability, rows),
            [self.warnings[row] for row in rows.tolist()],
        )


def _taken(column: Column, rows: NDArray[np.intp]) -> Column:
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]


def read_rows(array: bytes) -> list[LoggedColumns]:
    """Return the rows of a BSON array of documents, one item a model version."""
    pieces: dict[tuple[str, str], list[_Piece]] = defaultdict(list)
    for piece in _pieces(array):
        pieces[piece.model, piece.version].append(piece)
    return [_joined(model, version, found) for (model, version), found in pieces.items()]


def array_of(document: bytes, name: str) -> bytes:
    """Return the bytes of the array called ``name`` in a BSON document of simple values and arrays.

    Raises KeyError if there is none.
    """
    place = 4
    while kind := document[place]:
        end = document.index(0, place + 1)
        size = _size(document, kind, end + 1)
        if document[place + 1 : end] == name.encode() and kind == _ARRAY and size:
            return document[end + 1 : end + 1 + size]
        if size is None:
            break
        place = end + 1 + size
    raise KeyError(name)


@dataclass(frozen=True)
class _Piece:
    """Rows of one form."""

    model: str
    version: str
    n_rows: int
    columns: Mapping[Path, Column]

    def column(self, path: Path) -> Column:
        return self.columns.get(path, [None] * self.n_rows)


@dataclass(frozen=True)
class _Value:
    """Where a value lies in a document."""

    path: Path
    kind: int
    start: int
    size: int


def _pieces(data: bytes) -> Iterator[_Piece]:
    starts, lengths = _bounds(data)
    every = np.frombuffer(data, dtype=np.uint8)
    for length in np.unique(lengths).tolist():
        yield from _alike(sliding_window_view(every, length)[starts[lengths == length]])


def _bounds(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the documents of an array begin, and their lengths."""
    read, starts, lengths = struct.Struct("<i").unpack_from, [], []
    place, end = 4, len(data) - 1
    while place < end:
        place = data.index(0, place + 1) + 1  # a type, and the place in the array as a text
        starts.append(place)
        lengths.append(read(data, place)[0])
        place += lengths[-1]
    return np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64)


def _alike(rows: Bytes) -> Iterator[_Piece]:
    """Yield documents of one length, those of one form together."""
    for _ in range(MAX_FORMS):
        if len(rows) < MIN_ALIKE:
            break
        form = _form(rows[0].tobytes())
        if form is None:
            break
        is_fixed = _fixed_bytes(rows.shape[1], form)
        is_alike = (rows[:, is_fixed] == rows[0, is_fixed]).all(axis=1)
        if piece := _read_alike(rows[is_alike], form):
            yield piece
        else:
            yield from _decoded(rows[is_alike])
        rows = rows[~is_alike]
    yield from _decoded(rows)


def _form(document: bytes) -> list[_Value] | None:
    """Return where the values of a document lie; None if it holds more than simple values."""
    found: list[_Value] = []
    return found if _walk(document, 0, (), found) else None


def _walk(document: bytes, start: int, above: Path, found: list[_Value]) -> bool:
    place = start + 4
    while kind := document[place]:
        end = document.index(0, place + 1)
        path = (*above, document[place + 1 : end].decode())
        size = _size(document, kind, end + 1)
        if size is None or (kind == _ARRAY and path != _WARNINGS):
            return False
        if kind == _DOCUMENT:
            if above or not _walk(document, end + 1, path, found):
                return False
        elif kind == _INSTANT and path != ("at",):
            return False
        else:
            text_head = 4 if kind == _STRING else 0
            found.append(_Value(path, kind, end + 1 + text_head, size - text_head - (text_head > 0)))
        place = end + 1 + size
    return True


def _size(document: bytes, kind: int, place: int) -> int | None:
    if kind in _FIXED_SIZES:
        return _FIXED_SIZES[kind]
    if kind not in (_STRING, _DOCUMENT, _ARRAY):
        return None
    length = int(struct.unpack_from("<i", document, place)[0])
    return length + 4 if kind == _STRING else length


def _fixed_bytes(length: int, form: Sequence[_Value]) -> NDArray[np.bool_]:
    is_fixed = np.ones(length, dtype=np.bool_)
    for value in form:
        if value.path not in _WHOSE:
            is_fixed[value.start : value.start + value.size] = False
    return is_fixed


def _read_alike(rows: Bytes, form: Sequence[_Value]) -> _Piece | None:
    columns = {}
    for value in form:
        column = _column(rows[:, value.start : value.start + value.size], value.kind)
        if column is None:
            return None
        columns[value.path] = column
    if not {*_WHOSE, ("seq",), ("at",)} <= columns.keys():
        return None
    model, version = (str(columns[path][0]) for path in _WHOSE)
    return _Piece(model, version, len(rows), columns)


def _column(cells: Bytes, kind: int) -> Column | None:
    if kind == _NULL:
        return [None] * len(cells)
    if kind == _ARRAY:
        if cells.shape[1] == _EMPTY:
            return [None] * len(cells)
        return [list(bson.decode(cell.tobytes()).values()) for cell in cells]
    if kind == _BOOLEAN:
        return np.asarray(cells[:, 0] != 0)
    whole = np.ascontiguousarray(cells)
    if kind == _STRING:
        return _texts(whole)
    return whole.view(_DTYPES[kind])[:, 0]


def _texts(cells: Bytes) -> list[str] | None:
    if not cells.shape[1]:
        return [""] * len(cells)
    if not cells.all():
        return None  # NumPy would cut a NUL off the end
    distinct, which = np.unique(cells.view(f"S{cells.shape[1]}")[:, 0], return_inverse=True)
    texts = np.array([text.decode() for text in distinct.tolist()], dtype=object)
    found: list[str] = texts[which].tolist()
    return found


def _decoded(rows: Bytes) -> Iterator[_Piece]:
    whose = defaultdict(list)
    for document in bson.decode_all(rows.tobytes()):
        whose[document["model"], document["version"]].append(document)
    for (model, version), documents in whose.items():
        yield _Piece(model, version, len(documents), _columns_of(documents))


def _columns_of(documents: Sequence[Mapping[str, Any]]) -> dict[Path, Column]:
    names = dict.fromkeys(name for one in documents for name in one["features"])
    columns: dict[Path, Column] = {
        ("features", name): [one["features"].get(name) for one in documents] for name in names
    }
    columns[_WARNINGS] = [one.get("warnings") or None for one in documents]
    for name in ("seq", "prediction", "probability"):
        columns[name,] = [one.get(name) for one in documents]
    columns["at",] = [_milliseconds(one["at"]) for one in documents]
    return columns


def _milliseconds(moment: datetime) -> int:
    # Without options, bson gives times without a zone, in UTC.
    return round((moment - datetime(1970, 1, 1)).total_seconds() * 1_000)  # noqa: DTZ001


def _joined(model: str, version: str, pieces: Sequence[_Piece]) -> LoggedColumns:
    features = dict.fromkeys(path for piece in pieces for path in piece.columns if path[0] == "features")
    seq, at_ms = (
        np.concatenate([np.asarray(piece.columns[path], dtype=np.int64) for piece in pieces])
        for path in (("seq",), ("at",))
    )
    return LoggedColumns(
        model,
        version,
        seq,
        at_ms,
        {path[-1]: _one_column(pieces, path) for path in features},
        _one_column(pieces, ("prediction",)),
        _one_column(pieces, ("probability",)),
        [one for piece in pieces for one in piece.column(_WARNINGS)],
    )


def _one_column(pieces: Sequence[_Piece], path: Path) -> Column:
    found = [piece.column(path) for piece in pieces]
    numbers = [_as_numbers(column) for column in found]
    if all(column is not None for column in numbers):
        return np.concatenate([column for column in numbers if column is not None])
    if all(isinstance(column, np.ndarray) and column.dtype == np.bool_ for column in found):
        return np.concatenate(found)
    return [value for column in found for value in (column if isinstance(column, list) else column.tolist())]


def _as_numbers(column: Column) -> NDArray[np.float64] | None:
    if isinstance(column, np.ndarray):
        return None if column.dtype == np.bool_ else column.astype(np.float64)
    return np.full(len(column), np.nan) if not any(value is not None for value in column) else None
