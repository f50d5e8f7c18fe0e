"""A private MongoDB for this machine, when no other is named: real, small, shared by all who need it.

    with embedded_mongo.start(state_dir) as mongo:
        connect(mongo.uri, "vigia")

All processes that call ``start`` with the same folder share one mongod. It stops when the last of them
leaves the ``with`` block, exits or is killed, whichever of them started it. Its data stay in
``STATE_DIR/mongo``; while it runs, ``STATE_DIR/mongo-uri`` holds its URI.

It listens on loopback only and has no password: every user of this machine can reach it. Who shares a machine
with people they don't trust sets MONGO_URI to a MongoDB with users.
"""

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from utils import mongod, mongod_keeper
from utils.mongo import replica_set
from utils.mongod import EmbeddedMongoError

__all__ = ["EmbeddedMongo", "EmbeddedMongoError", "start"]

ADDRESS = "127.0.0.1"
LISTEN_TIMEOUT_S = 60  # recovery of a large journal after a crash takes a while
POLL_S = 0.005
# Below those that systems hand out to clients and tests, so that ours is still free after a restart. To move
# is dear: mongod asks whoever has its old port whether it is itself, up to 30 s where nobody answers.
PORTS = range(28_100, 32_700)
ATTEMPTS = 3  # to find a port that nobody takes between our look and mongod's


class EmbeddedMongo:
    """A private MongoDB in use by this process, until ``stop`` or the end of the ``with`` block."""

    def __init__(self, folder: Path, uri: str, users: IO[str]) -> None:
        self.uri = uri
        self._folder = folder
        self._users = users

    def is_running(self) -> bool:
        """Return whether mongod runs, or is being started again after a crash."""
        return _is_kept(self._folder)

    def stop(self) -> None:
        """Leave; the last one to leave waits until mongod has written all and ended. May be called twice.

        It waits no more when somebody joins before the keeper sees that all have left: mongod then goes on.
        """
        if self._users.closed:
            return
        with _locked(self._folder / "start.lock"):  # one at a time, so that exactly one is the last
            is_last = _is_last_user(self._users)
            fcntl.flock(self._users, fcntl.LOCK_UN)  # closing alone would leave it to a forked child
            self._users.close()
        if is_last:
            _wait_for_end(self._folder, unless=lambda: _is_used(self._folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(state_dir: Path, program: Path | None = None) -> EmbeddedMongo:
    """Start the private MongoDB of ``state_dir``, or join those who use it; return when it takes writes.

    Parameters
    ----------
    state_dir : Path
        Made if missing. Must be on a local disk: it holds data and locks.
    program : Path, optional
        The mongod to run (setting MONGOD); by default the one on PATH, then the one inside the wheel.

    Raises
    ------
    EmbeddedMongoError
        If none can run here. Says what is missing and what to do.
    UnavailableError
        If it runs and does not become writable.
    """
    folder = state_dir.resolve() / "mongo"
    (folder / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
    users = (folder / "users.lock").open("a")
    try:
        # Waits while a keeper that nobody used is stopping its mongod.
        fcntl.flock(users, fcntl.LOCK_SH)
        with _locked(folder / "start.lock"):
            uri = _ensure_running(folder, program)
    except BaseException:
        users.close()
        raise
    return EmbeddedMongo(folder, uri, users)


def _ensure_running(folder: Path, program: Path | None) -> str:
    """Return the URI of this folder's mongod, ready for writes; the caller holds ``start.lock``."""
    port = _join(folder) or _launch(folder, program)
    uri = f"mongodb://{ADDRESS}:{port}/?directConnection=true"
    if not replica_set.ensure_primary(uri, f"{ADDRESS}:{port}", folder / "data", lambda: _is_kept(folder)):
        return _ensure_running(folder, program)  # we had joined one that was just ending
    _write(folder.parent / "mongo-uri", uri)
    return uri


def _join(folder: Path) -> int | None:
    """Return the port of the mongod that runs already, None if none does, or no more."""
    port = _remembered_port(folder)
    return port if _is_kept(folder) and _listens(folder, port) else None


def _launch(folder: Path, program: Path | None) -> int:
    """Start keeper and mongod; return the port on which it listens, the same as last time if it is free."""
    found = mongod.find(program)
    _end_orphan(folder)
    for _ in range(ATTEMPTS):
        port = _choose_port(folder)
        _write(folder / "port", str(port))
        for leftover in (folder / "exit.json", folder.parent / "mongo-uri"):
            leftover.unlink(missing_ok=True)
        log_start = _log_size(folder)
        _start_keeper(folder, [str(found), *mongod.arguments(folder / "data", port)])
        if _listens(folder, port):
            return port
        ended = json.loads((folder / "exit.json").read_text())
        if ended["code"] != mongod.PORT_TAKEN:
            break
    raise EmbeddedMongoError(mongod.explain(ended["code"], ended["errno"], _log_from(folder, log_start)))


def _end_orphan(folder: Path) -> None:
    """End a mongod whose keeper was killed; on Linux it is about to end by itself."""
    if _is_held(folder / "mongod.lock"):
        with contextlib.suppress(ValueError, ProcessLookupError):
            os.kill(int((folder / "data" / "mongod.lock").read_text()), signal.SIGTERM)
        _wait_for_end(folder)


def _start_keeper(folder: Path, command: list[str]) -> None:
    """Return when the keeper holds its locks and is on its own, deaf to this terminal's Ctrl-C."""
    script = [sys.executable, "-I", "-S", mongod_keeper.__file__, str(folder), *command]
    with (folder / "mongod.log").open("ab") as log:
        subprocess.run(  # noqa: S603 (our own script and a mongod that was found)
            script,
            check=True,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _listens(folder: Path, port: int) -> bool:
    """Wait until mongod accepts connections (True) or has ended (False)."""
    deadline = time.monotonic() + LISTEN_TIMEOUT_S
    while _is_kept(folder):
        try:
            socket.create_connection((ADDRESS, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise EmbeddedMongoError(f"it did not listen within {LISTEN_TIMEOUT_S} s") from None
            time.sleep(POLL_S)
        else:
            return True
    return False


def _wait_for_end(folder: Path, unless: Callable[[], bool] = lambda: False) -> None:
    """Wait until keeper and mongod are gone; not for ever, should one hang."""
    deadline = time.monotonic() + mongod_keeper.STOP_TIMEOUT_S + 1
    while (_is_kept(folder) or _is_held(folder / "mongod.lock")) and not unless():
        if time.monotonic() > deadline:
            raise EmbeddedMongoError("the one that runs already does not end")
        time.sleep(POLL_S)


def _choose_port(folder: Path) -> int:
    """Return the port of last time if it is free, else one that is."""
    port = _remembered_port(folder)
    while port == 0 or not _is_free(port):
        port = secrets.choice(PORTS)
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def _remembered_port(folder: Path) -> int:
    """Return the port of last time, 0 if there is none."""
    try:
        return int((folder / "port").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _is_kept(folder: Path) -> bool:
    """Return whether there is a keeper: then mongod runs or is about to."""
    return _is_held(folder / "keeper.lock")


def _is_held(path: Path) -> bool:
    with path.open("a") as lock:
        return not _try_lock(lock, fcntl.LOCK_SH)  # shared, so that two who look don't see each other


def _is_used(folder: Path) -> bool:
    """Return whether somebody uses this folder's mongod; the keeper that is ending it doesn't count."""
    # Under the lock of all who look in this way, so that nobody takes the look for a user.
    with _locked(folder / "start.lock"), (folder / "users.lock").open("a") as users:
        return not _try_lock(users, fcntl.LOCK_EX) and _try_lock(users, fcntl.LOCK_SH)


def _is_last_user(users: IO[str]) -> bool:
    """Return whether nobody else holds the lock, the keeper apart, who takes it when all have left."""
    return _try_lock(users, fcntl.LOCK_EX) or not _try_lock(users, fcntl.LOCK_SH)


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    """Write all or nothing, for readers that look at any time."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.replace(path)


def _log_size(folder: Path) -> int:
    log = folder / "mongod.log"
    return log.stat().st_size if log.exists() else 0


def _log_from(folder: Path, position: int) -> str:
    with (folder / "mongod.log").open("rb") as log:
        log.seek(position)
        return log.read().decode(errors="replace")
