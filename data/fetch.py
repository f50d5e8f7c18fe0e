"""Download of public tables for users who are online. The rows stay in a git-ignored folder."""

import hashlib
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data import public
from data.columns import Table

TIMEOUT_S = 30.0
_MAX_BYTES = 100_000_000


class FetchError(Exception):
    """A public file could not be downloaded."""


@dataclass(frozen=True)
class Fetched:
    """One downloaded file: where it is, and SHA-256 (hexadecimal) and size in bytes of what came."""

    path: Path
    sha256: str
    n_bytes: int


@dataclass(frozen=True)
class PublicTable:
    """A fetched table: its files, and one CSV file with its columns and target, ready to train on."""

    files: list[Fetched]
    path: Path
    n_rows: int


def fetch(table: Table, folder: Path, timeout_s: float = TIMEOUT_S) -> PublicTable:
    """Download the files of a public table and join them to one.

    Parameters
    ----------
    table : Table
        Which table.
    folder : Path
        Where the files are put, under the names that ``public.read`` looks for.
    timeout_s : float, default=30
        Longest silence of the server, in seconds.

    Returns
    -------
    PublicTable
        Files in the order of the source, and ``folder/NAME_public.csv`` with the columns of our table.

    Raises
    ------
    FetchError
        If a file cannot be had.
    data.public.PublicDataError
        If the files are not what the table expects.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [_download(url, folder / name, timeout_s) for name, url in table.source.files.items()]
    rows = public.read(table, folder)
    path = folder / f"{table.name}_public.csv"
    _replace(path, rows[[name for name in table.header if name in rows]].to_csv(index=False).encode())
    return PublicTable(files, path, len(rows))


def _download(url: str, path: Path, timeout_s: float) -> Fetched:
    content = _get(url, timeout_s)
    _replace(path, _as_csv(content) if url.endswith(".json") else content)
    return Fetched(path, hashlib.sha256(content).hexdigest(), len(content))


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(content)
    partial.replace(path)


def _as_csv(content: bytes) -> bytes:
    try:
        rows = pd.DataFrame(json.loads(content))
    except ValueError as error:
        raise FetchError(f"what came is no JSON table: {error}") from error
    return rows.to_csv(index=False).encode()


def _get(url: str, timeout_s: float) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise FetchError(f"{url} is not an http address")
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - the scheme is checked above
            content: bytes = answer.read(_MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise FetchError(f"{url}: the server answered {error.code} {error.reason}") from error
    except OSError as error:  # URLError and timeouts are OSErrors
        raise FetchError(f"{url} cannot be reached ({error}); are you online?") from error
    if len(content) > _MAX_BYTES:
        raise FetchError(f"{url} is larger than {_MAX_BYTES} bytes")
    return content
