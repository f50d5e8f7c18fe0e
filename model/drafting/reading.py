"""Reading a file of which nothing is known: its separator, encoding and decimal point.

Cells stay texts, as they are when a spec is read for training.
"""

import codecs
import csv
import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from model.drafting.doubts import Doubt
from model.frame import UNREADABLE_FILE, read_texts
from model.spec import Data
from utils.errors import TableError

ENCODINGS = ("utf-8-sig", "cp1252")
SEPARATORS = (",", ";", "\t", "|")
HEAD_BYTES = 65_536
HEAD_LINES = 20

_COMMA_NUMBER = re.compile(r"[-+]?\d+,\d+")


@dataclass(frozen=True)
class RawTable:
    """A table of texts, how it was read, and what is doubtful about that."""

    cells: pd.DataFrame
    data: Data
    doubts: tuple[Doubt, ...] = ()


def read(path: Path, train: str) -> RawTable:
    """Read a CSV or Parquet file.

    Parameters
    ----------
    train : str
        How the spec will name the file.

    Raises
    ------
    TableError
        If the file cannot be read, or is no table of two columns at least.
    """
    try:
        table = _read_parquet(path, train) if path.suffix == ".parquet" else _read_csv(path, train)
    except FileNotFoundError:
        raise TableError(f"{path}: no such file.") from None
    except UNREADABLE_FILE as error:
        raise TableError(f"{path}: cannot be read. {' '.join(str(error).split())}") from None
    if table.cells.shape[1] < 2 or table.cells.empty:
        raise TableError(f"{path}: a table needs a header, two columns at least, and rows.")
    return table


def _read_parquet(path: Path, train: str) -> RawTable:
    cells = pd.read_parquet(path)
    cells.columns = cells.columns.astype(str)
    return RawTable(cells.astype(object).map(_as_text, na_action="ignore"), Data(train=train))


def _as_text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _read_csv(path: Path, train: str) -> RawTable:
    data = Data(train=train, separator=_separator(path))
    for encoding in ENCODINGS:
        data = msgspec.structs.replace(data, encoding=encoding)
        try:
            cells = read_texts(path, data)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise ValueError("it is text of no known encoding")
    if data.separator != "," and _has_decimal_commas(cells):
        data = msgspec.structs.replace(data, decimal=",")
    return RawTable(cells, data, tuple(_doubts(data)))


def _separator(path: Path) -> str:
    """Return the separator that cuts each of the first lines into the most pieces."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("It is UTF-16; write it as UTF-8.")
    lines = head.decode("utf-8", "replace").splitlines()[:HEAD_LINES]
    return max(SEPARATORS, key=lambda one: _least_pieces(lines, one))


def _least_pieces(lines: list[str], separator: str) -> int:
    return min((len(row) for row in csv.reader(lines, delimiter=separator) if row), default=0)


def _has_decimal_commas(cells: pd.DataFrame) -> bool:
    samples = [cells[name].dropna().head(1_000) for name in cells]
    shares = [
        sample.map(lambda text: bool(_COMMA_NUMBER.fullmatch(text))).mean()
        for sample in samples
        if len(sample)
    ]
    return any(share > 0.5 for share in shares)


def _doubts(data: Data) -> Iterable[Doubt]:
    if data.encoding != ENCODINGS[0]:
        yield Doubt("encoding", "", f"The file is not UTF-8; it was read as {data.encoding}.")
    if data.decimal == ",":
        yield Doubt("decimal", "", "Numbers have a decimal comma in the file; in requests they have a point.")
