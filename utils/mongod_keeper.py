"""The process that stands between a private mongod and those who use it: a script, standard library only.

``python mongod_keeper.py FOLDER MONGOD ARGUMENT...`` puts itself in the background, starts mongod and then

* stops it when nobody holds ``FOLDER/users.lock`` any more (the kernel frees a user's lock when the user
  exits, even by ``kill -9``, so nothing has to be counted and nothing can be left running),
* starts it again when it crashes, but not when somebody stops it with a signal that asks for a clean stop,
* keeps its log file within bounds.

While it lives ``FOLDER/keeper.lock`` is held, and while mongod lives ``FOLDER/mongod.lock`` is.
``FOLDER/exit.json`` says how mongod ended.
It knows nothing of replica sets or clients: ``utils.embedded_mongo`` does the rest.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

MAX_LOG_BYTES = 8 * 2**20  # of which one older copy is kept
LOG_CHECK_S = 60
STOP_TIMEOUT_S = 30
STOP_LOOK_S = 0.05
SHORT_LIFE_S = 10
MAX_PAUSE_S = 30
PR_SET_PDEATHSIG = 1  # prctl(2), Linux only
LIBC = ctypes.CDLL(None)


class Keeper:
    """Runs mongod until nobody uses it."""

    def __init__(self, folder: Path, command: list[str], mongod_lock: IO[str]) -> None:
        self.folder = folder
        self.command = command
        self.mongod_lock = mongod_lock
        self.uri_file = folder.parent / "mongo-uri"
        # No event: a signal that comes while its lock is held would wait for ever.
        self.is_stopping = False
        self.mongod: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Run mongod, again after each crash once it was ready, and write down how the last one ended."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        threading.Thread(target=self.stop_when_unused, daemon=True).start()
        threading.Thread(target=bound_log, args=(self.folder / "mongod.log",), daemon=True).start()
        pause_s = 0.0
        while True:
            begun = time.monotonic()
            code, error = self.run_once()
            if self.is_stopping or code == 0 or not self.uri_file.exists():
                break
            pause_s = 0.0 if time.monotonic() - begun > SHORT_LIFE_S else min(2 * pause_s + 1, MAX_PAUSE_S)
            self.pause(pause_s)
        (self.folder / "exit.json").write_text(json.dumps({"code": code, "errno": error}))

    def pause(self, seconds: float) -> None:
        """Wait, unless it is time to stop."""
        ends_at = time.monotonic() + seconds
        while not self.is_stopping and time.monotonic() < ends_at:
            time.sleep(STOP_LOOK_S)

    def run_once(self) -> tuple[int | None, int | None]:
        """Run one mongod to its end; return its exit code, or the errno when it could not be started."""
        try:
            with (self.folder / "mongod.log").open("ab") as log:
                self.mongod = subprocess.Popen(  # noqa: S603 (the command comes from embedded_mongo)
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(self.mongod_lock.fileno(),),
                    preexec_fn=begin_as_child,
                )
        except OSError as error:
            return None, error.errno
        if self.is_stopping:
            self.mongod.terminate()
        return self.mongod.wait(), None

    def stop(self) -> None:
        """Ask mongod to stop; the main thread, which waits for it, then ends."""
        self.is_stopping = True
        if self.mongod is not None:
            self.mongod.terminate()

    def stop_when_unused(self) -> None:
        """Wait for the last user to leave; new users then wait until this process has ended."""
        with (self.folder / "users.lock").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            self.stop()
            time.sleep(STOP_TIMEOUT_S)
            if self.mongod is not None:
                self.mongod.kill()


def bound_log(log: Path) -> None:
    """Cut the log whenever it is too long, for ever."""
    while True:
        cut_log(log)
        time.sleep(LOG_CHECK_S)


def cut_log(log: Path) -> None:
    """Copy a log that is too long away and empty it; mongod, which only appends, need not know."""
    with contextlib.suppress(OSError):  # a full disk must not end the keeper
        if log.stat().st_size > MAX_LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def begin_as_child() -> None:
    """In the new process: obey signals again, and on Linux stop when the keeper is killed."""
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main(folder: Path, command: list[str]) -> None:
    """Take the locks, leave the caller, keep mongod."""
    with (folder / "keeper.lock").open("a") as own_lock, (folder / "mongod.lock").open("a") as mongod_lock:
        for lock in (own_lock, mongod_lock):
            fcntl.flock(lock, fcntl.LOCK_EX)  # free but for the blink of an eye in which somebody looks
        if os.fork():
            os._exit(0)  # the caller now knows that the locks are held
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        keeper = Keeper(folder, command, mongod_lock)
        try:
            keeper.run()
        finally:
            keeper.uri_file.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
