"""What a table and its columns are: names, kinds, units and where the public rows come from.

Plain descriptions only; nothing here reads, measures or simulates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Kind = Literal["number", "steps", "category", "nested", "derived", "id"]
"""Measured: ``number``, by quantiles; ``steps``, few numeric values, each with its share; ``category``, texts
with their shares; ``nested``, shares given the value of other columns. Not measured: ``derived``, which
``finish`` writes from other columns, and ``id``, a running number."""

Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Header in the CSV file.
    kind : Kind
        How it is measured and simulated.
    about : str
        Meaning and unit, for people.
    decimals, significant : int, optional
        How numbers are rounded: digits after the point, or significant digits. Default: whole numbers.
    atom_share : float, default=0.01
        Share of one exact value from which on it is kept as such, beside the quantiles.
    keep : int, optional
        Categories kept by name; the rest becomes ``Other``. Default: all.
    given : tuple of str
        For ``nested``: the columns it depends on.
    missing_with : str
        Column with which this one is missing together.
    """

    name: str
    kind: Kind
    about: str = ""
    decimals: int = 0
    significant: int | None = None
    atom_share: float = 0.01
    keep: int | None = None
    given: tuple[str, ...] = ()
    missing_with: str = ""


@dataclass(frozen=True)
class Source:
    """Where public rows come from: a title, the licence as stated there, and the address of each file."""

    title: str
    licence: str
    files: dict[str, str]


def unchanged(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame as it is: for tables whose cells are already plain values."""
    return frame


@dataclass(frozen=True)
class Table:
    """One table: its target, its columns in the order of the file, and how rows are grouped for measuring.

    ``groups`` are columns whose every combination gets figures of its own (for classification the target is
    one of them). ``bands`` cuts a numeric target into that many equally large groups. ``prepare`` turns cells
    of the public file into plain values before measuring, ``finish`` writes them back after simulating.
    ``hidden`` columns are measured and simulated like others, but only serve ``finish``.
    """

    name: str
    target: str
    columns: tuple[Column, ...]
    source: Source
    rows: int
    groups: tuple[str, ...] = ()
    bands: int = 0
    hidden: tuple[Column, ...] = ()
    read: Callable[[dict[str, pd.DataFrame]], pd.DataFrame] | None = None
    prepare: Change = unchanged
    finish: Change = unchanged

    @property
    def header(self) -> list[str]:
        """Column names in the order of the file."""
        return [column.name for column in self.columns]

    def of_kind(self, *kinds: Kind) -> list[Column]:
        """Columns of the given kinds that are not group keys."""
        return [c for c in self.columns + self.hidden if c.kind in kinds and c.name not in self.groups]
