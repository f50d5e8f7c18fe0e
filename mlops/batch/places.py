"""Where input files are: a path or URL, a folder, or a pattern, on any file system that fsspec knows."""

import io
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

import fsspec
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import infer_compression

from utils.errors import TableError
from utils.metadata_addresses import is_metadata_address

Kind = Literal["csv", "ndjson", "parquet"]
KINDS: dict[str, Kind] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
# Of URLs whose host is a name or an address; elsewhere it is the name of a bucket.
RESOLVED = ("http", "https", "ftp", "sftp", "ssh", "webdav", "smb", "hdfs", "webhdfs")
# Where one URL is read through another, as simplecache::https://host/rows.csv.
CHAINED = re.compile(r"::(?=[\w+.-]+://)")
COMPRESSIONS = ("gzip", "bz2", "xz", "zstd")


@dataclass(frozen=True)
class File:
    """One file.

    Attributes
    ----------
    url : str
        Where it is.
    size : int
        Its bytes as they are stored.
    kind : str
    compression : str or None
        A compressed one can only be read from its beginning.
    changed : str
        Another where the file was written again.
    """

    url: str
    size: int
    kind: Kind
    compression: str | None
    changed: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.url.rsplit("/", 1)[-1]

    def open(self) -> Any:
        """Open it for reading its bytes, unpacked; reads as much as is asked for unless it ends."""
        found = fsspec.open(self.url, "rb", compression=self.compression).open()
        # What fsspec opens elsewhere than on this machine knows no limit for a line.
        return io.BufferedReader(found) if isinstance(found, AbstractBufferedFile) else found


def kind_of(path: str) -> tuple[Kind, str | None]:
    """Return what is in a file and how it is compressed, by the ending of its name.

    Raises TableError for another ending, or for Parquet where pyarrow is missing.
    """
    compression = infer_compression(path)
    bare = path.rsplit(".", 1)[0] if compression else path
    kind = next((kind for ending, kind in KINDS.items() if bare.lower().endswith(ending)), None)
    if kind is None or (compression and (kind == "parquet" or compression not in COMPRESSIONS)):
        known = ", ".join(KINDS)
        raise TableError(f"{path}: what is in it must be seen from its ending: {known}, or {'.csv.gz'}.")
    if kind == "parquet" and not has_arrow():
        raise TableError(f"{path}: Parquet needs pyarrow, which is not installed: pip install pyarrow")
    return kind, compression


def has_arrow() -> bool:
    """Tell whether pyarrow is installed; not every installation has it."""
    return find_spec("pyarrow") is not None


def files(url: str) -> list[File]:
    """Return the files that a path, URL, folder or pattern stands for, by name.

    Raises
    ------
    TableError
        If there are none, or one has an unknown ending.
    """
    system, path = _system(url)
    try:
        found = [_file(system, one) for one in _paths(system, path)]
    except (OSError, ValueError) as error:
        raise TableError(f"{url}: cannot be read. {error}") from None
    if not found:
        raise TableError(f"{url}: no such file, or no file in it ends in {', '.join(KINDS)}.")
    return found


def refuse_metadata(url: str) -> None:
    """Raise TableError where a URL, or one that is chained in it, leads to a link-local or metadata address.

    Other addresses inside of a network are fine: whoever runs a batch may read there.
    """
    for part in CHAINED.split(url):
        if any(map(is_metadata_address, _addresses(part))):
            raise TableError(f"{url}: link-local and metadata addresses are refused.")


def _addresses(url: str) -> list[str]:
    """Return the addresses of a URL's host, none where it has none or they cannot be found."""
    try:
        found = urlsplit(url)
        host = found.hostname if found.scheme in RESOLVED else None
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host else []
    except (OSError, ValueError):
        return []  # whoever opens it says so
    return [str(entry[4][0]) for entry in entries]


def _system(url: str) -> tuple[Any, str]:
    refuse_metadata(url)
    try:
        system, path = fsspec.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise TableError(f"{url}: {error}") from None
    return system, str(path)


def _paths(system: Any, path: str) -> Iterator[str]:
    if system.isdir(path):
        yield from sorted(one for one in system.find(path) if _has_known_ending(one))
    elif any(letter in path for letter in "*?["):
        yield from sorted(system.glob(path))
    elif system.exists(path):
        yield path


def _has_known_ending(path: str) -> bool:
    try:
        kind_of(path)
    except TableError:
        return any(path.lower().endswith(ending) for ending in KINDS)
    return not path.rsplit("/", 1)[-1].startswith((".", "_"))


def _file(system: Any, path: str) -> File:
    info = system.info(path)
    kind, compression = kind_of(path)
    changed = next(
        (str(info[name]) for name in ("ETag", "etag", "mtime", "LastModified") if info.get(name)), ""
    )
    return File(system.unstrip_protocol(path), int(info["size"] or 0), kind, compression, changed)
