"""Where the workers of one master keep their counts: a folder in shared memory, a slot in it for each worker.

A worker gets the lowest slot that no living worker has, so a recycled one goes on with the files of the one
before. Knows nothing of what is counted.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "vigia-metrics-"
MASTER = "master"

_slot = MASTER


def own() -> str:
    """Return the slot of this process."""
    return _slot


def folder() -> str | None:
    """Return the folder, None where there is none."""
    return os.environ.get(VARIABLE)


def make_folder() -> None:
    """Make the folder unless one is set; call it in the master, before the app is loaded."""
    mine = f"{PREFIX}{os.getpid()}-"
    given = folder()
    # One that another master made, of which this one is the child, is that one's.
    if given and (Path(given).name.startswith(mine) or not Path(given).name.startswith(PREFIX)):
        return
    place = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())  # noqa: S108
    _sweep(place)
    os.environ[VARIABLE] = made = tempfile.mkdtemp(prefix=mine, dir=place)
    atexit.register(_remove, made, os.getpid())


def take(taken: Iterable[str]) -> str:
    """Return the lowest slot that is not taken.

    >>> take(["1", "3"])
    '2'
    """
    others = set(taken)
    number = 1
    while str(number) in others:
        number += 1
    return str(number)


def sit(slot: str) -> None:
    """Take a slot for this process; call it after fork, before anything is counted."""
    global _slot
    _slot = slot


def leave(slot: str) -> None:
    """Forget what a worker that has ended had under way; what it counted stays."""
    if folder():
        mark_process_dead(slot, folder())  # type: ignore[no-untyped-call]


def _remove(made: str, master: int) -> None:
    if os.getpid() == master:  # workers end by the same way
        shutil.rmtree(made, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove what masters left that were killed."""
    for path in place.glob(f"{PREFIX}*"):
        found = re.match(rf"{PREFIX}(\d+)-", path.name)
        if found and not Path(f"/proc/{found[1]}").exists() and Path("/proc/self").exists():
            shutil.rmtree(path, ignore_errors=True)
