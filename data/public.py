"""Public tables on disk: finds their files in a folder and brings them to the columns of our tables.

Reads only. Rows that it returns are measured or tested with and never kept in the project.
"""

from pathlib import Path

import pandas as pd

from data.columns import Table


class PublicDataError(Exception):
    """A public table is not there, or not as expected."""


def read(table: Table, folder: Path) -> pd.DataFrame:
    """Read the public rows of a table with its target, cells as in the source.

    Parameters
    ----------
    table : Table
        Which table.
    folder : Path
        Folder that holds the files, plain or gzipped, at any depth.

    Raises
    ------
    PublicDataError
        If a file or a column is missing.
    """
    files = {name: _read_file(find(folder, name)) for name in table.source.files}
    rows = table.read(files) if table.read else next(iter(files.values()))
    lacking = [c.name for c in table.columns if c.name not in rows and c.kind != "id"]
    if lacking:
        raise PublicDataError(f"{table.name}: the public table lacks the columns {', '.join(lacking)}")
    return rows


def find(folder: Path, name: str) -> Path:
    """Find a file by its name, plain or gzipped, at any depth of a folder.

    Raises
    ------
    PublicDataError
        If there is none.
    """
    found = sorted(folder.rglob(name)) or sorted(folder.rglob(name + ".gz"))
    if not found:
        raise PublicDataError(f"no file {name} (or {name}.gz) under {folder}")
    return found[0]


def _read_file(path: Path) -> pd.DataFrame:
    # "None" is a category in some tables, so only empty cells and NA are missing
    return pd.read_csv(path, keep_default_na=False, na_values=["", "NA"], low_memory=False)
