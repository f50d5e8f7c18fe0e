"""Small SQLite files that all processes of a machine share. It knows no table."""

import sqlite3
from pathlib import Path

BUSY_S = 2.0


def open_shared(path: Path, schema: str) -> sqlite3.Connection:
    """Open a file that others write to as well, and make its tables where they are missing.

    Parameters
    ----------
    schema : str
        Statements that change nothing when they are run again.

    Raises
    ------
    sqlite3.Error
        If the file cannot be used; a wait for others ends after two seconds.
    """
    connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(schema)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
