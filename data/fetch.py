"""Download of public tables for users who are online. The rows stay in a git-ignored folder."""

import hashlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from data import public
from data.columns import Table

TIMEOUT_S = 30.0
_MAX_BYTES = 100_000_000


class FetchError(Exception):
    """A public file could not be downloaded."""


@dataclass(frozen=True)
class Fetched:
    """One downloaded file: where it is, its SHA-256 in hexadecimal and its size in bytes."""

    path: Path
    sha256: str
    n_bytes: int


def fetch(table: Table, folder: Path, timeout_s: float = TIMEOUT_S) -> tuple[list[Fetched], int]:
    """Download the files of a public table and read them once.

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
    files : list of Fetched
        In the order of the source.
    n_rows : int
        Rows of the table.

    Raises
    ------
    FetchError
        If a file cannot be had.
    data.public.PublicDataError
        If the files are not what the table expects.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [_download(url, folder / name, timeout_s) for name, url in table.source.files.items()]
    return files, len(public.read(table, folder))


def _download(url: str, path: Path, timeout_s: float) -> Fetched:
    content = _get(url, timeout_s)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(content)
    partial.replace(path)
    return Fetched(path, hashlib.sha256(content).hexdigest(), len(content))


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
