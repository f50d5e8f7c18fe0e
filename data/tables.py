"""The sample tables of the bundled models, and the making of their CSV files from committed figures."""

import os
from datetime import date
from pathlib import Path

from data import figures, public, simulate
from data.cars import table as cars
from data.columns import Table
from data.movies import table as movies
from data.songs import table as songs
from data.titanic import table as titanic
from data.trees import table as trees

TABLES: dict[str, Table] = {m.TABLE.name: m.TABLE for m in (songs, movies, trees, cars, titanic)}
DEFAULT_SEED = 20240101
_ROOM = Path(__file__).parent


def figures_path(name: str) -> Path:
    """Path of the committed figures of a table."""
    return _ROOM / name / "figures.json"


def make(name: str, folder: Path = _ROOM, rows: int | None = None, seed: int = DEFAULT_SEED) -> Path:
    """Write the simulated table ``folder/name/name.csv``.

    Parameters
    ----------
    name : str
        One of ``TABLES``.
    folder : Path, default=the data room
        Where the folder of the table is, or is made.
    rows : int, optional
        Number of rows; default is that of the table.
    seed : int
        Same seed and rows, same bytes.

    Returns
    -------
    Path
        The file; it is replaced at once, so a reader never sees half of it.

    Raises
    ------
    KeyError
        If there is no such table.
    """
    table = TABLES[name]
    frame = simulate.simulate(table, figures.read(figures_path(name)), rows or table.rows, seed)
    path = folder / name / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    frame.to_csv(partial, index=False, lineterminator="\n")
    return partial.replace(path)


def measure(name: str, folder: Path, measured_on: date) -> figures.Figures:
    """Measure the figures of a table on the public files in a folder.

    Raises
    ------
    data.public.PublicDataError
        If a file or column is missing.
    ValueError
        If there are too few rows for figures.
    """
    table = TABLES[name]
    return figures.measure(table, table.prepare(public.read(table, folder)), measured_on)
