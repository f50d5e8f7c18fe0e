"""The mongod program: where it is, how it is called, and in plain words why it did not start.

Nothing is started here; ``utils.embedded_mongo`` does that.
"""

import errno
import json
import re
import shutil
import signal
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from utils.errors import VigiaError

IN_WHEEL = Path("fiftyone", "db", "bin", "mongod")
PORT_TAKEN = 48  # mongod's exit code when it cannot listen
DATA_TOO_NEW_OR_OLD = 62

TWO_WAYS_OUT = (
    "There are two ways out. Either install MongoDB 6 or later, so that `mongod` is on PATH or MONGOD holds "
    "its path (on Linux x86-64 and macOS `pip install -r requirements-local.txt` brings one); or set "
    "MONGO_URI to a MongoDB that is already running."
)
BY_ERRNO = {
    errno.ENOENT: "it needs the GNU C library, which this system does not have (Alpine and others use musl)",
    errno.ENOEXEC: "it was built for another processor or operating system",
    errno.EACCES: "it may not be executed (check its permissions and those of its folder)",
}
BY_CODE = {
    -signal.SIGILL: "this processor lacks AVX instructions, which MongoDB needs since version 5",
    -signal.SIGKILL: "it was killed, most likely because memory ran out",
    PORT_TAKEN: "its port was taken by another program",
    DATA_TOO_NEW_OR_OLD: "its data was written by a version of MongoDB that this one cannot read",
}


class EmbeddedMongoError(VigiaError):
    """No private MongoDB can run here; the detail says what is missing and what to do."""

    code = "embedded_mongo"
    title = "No private MongoDB"

    def __init__(self, reason: str) -> None:
        super().__init__(f"No private MongoDB can run here: {reason}. {TWO_WAYS_OUT}")


def find(explicit: Path | None = None, folders: Iterable[str] | None = None) -> Path:
    """Return the mongod to run: the one asked for, else that on PATH, else that inside the wheel.

    Parameters
    ----------
    explicit : Path, optional
        What the setting MONGOD says.
    folders : iterable of str, optional
        Where installed packages are looked for, by default ``sys.path``.

    Raises
    ------
    EmbeddedMongoError
        If there is none.
    """
    if explicit is not None:
        return _existing(explicit)
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    for folder in sys.path if folders is None else folders:
        if (in_wheel := Path(folder) / IN_WHEEL).is_file():
            return _executable(in_wheel)
    raise EmbeddedMongoError("no `mongod` was found, neither on PATH nor in an installed package")


def arguments(data: Path, port: int) -> list[str]:
    """Return how mongod is called: loopback only, little memory and disk, quiet."""
    return [
        *("--dbpath", str(data), "--replSet", "vigia", "--bind_ip", "127.0.0.1", "--port", str(port)),
        *("--nounixsocket", "--quiet", "--slowms", "1000", "--oplogSize", "256"),
        *("--wiredTigerCacheSizeGB", "0.5", "--wiredTigerEngineConfigString", "log=(prealloc=false)"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]


def explain(code: int | None, error: int | None, log: str) -> str:
    """Say why mongod ended at once.

    Parameters
    ----------
    code : int or None
        Its exit code, negative for a signal; None if it could not be started.
    error : int or None
        The errno, if it could not be started.
    log : str
        What it wrote, standard error included.
    """
    library = re.search(r"error while loading shared libraries: ([^:\s]+)", log)
    if library:
        return f"the library {library[1]} is missing{_package(library[1])}"
    if "GLIBC" in log and "not found" in log:
        return "the C library of this system is older than the one it was built for"
    if code is None:
        return BY_ERRNO.get(error or 0, f"it cannot be started ({errno.errorcode.get(error or 0, error)})")
    return BY_CODE.get(code) or f"mongod ended with code {code}{_last_words(log)}"


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise EmbeddedMongoError(f"MONGOD names {path}, which is not a file")
    return path


def _executable(path: Path) -> Path:
    """Set the execute bit that some installers drop."""
    mode = path.stat().st_mode
    if not mode & stat.S_IXUSR:
        try:
            path.chmod(mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        except PermissionError:
            raise EmbeddedMongoError(f"{path} may not be executed; run `chmod +x` on it") from None
    return path


def _package(library: str) -> str:
    return " (Debian and Ubuntu: `apt-get install libcurl4`)" if library.startswith("libcurl") else ""


def _last_words(log: str) -> str:
    """Return the last fatal or error line of mongod's log, which is one JSON object a line."""
    for line in reversed(log.splitlines()):
        if '"s":"F"' in line or '"s":"E"' in line:
            entry = json.loads(line)
            return f": {entry['msg']} {json.dumps(entry.get('attr', {}))}"
    return f": {log.strip().splitlines()[-1]}" if log.strip() else ""
