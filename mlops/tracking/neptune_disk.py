"""The folders in which the Neptune client keeps offline runs: who may write, mending, handing over.

Knows the client's layout on disk (``.neptune/offline/run__ID__…/data-N.log``, one JSON operation a line) and
not the client. Left alone, the client makes a new run with a new id at every start; here a model keeps one
id, so that one ``neptune sync`` makes one run of all that a model has gathered over any number of restarts.
"""

import fcntl
import itertools
import json
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_NAMESPACE = uuid.UUID("8f0c1b7e-2d43-5a7b-9d25-6f1f5b3f0a11")


def run_id(model: str) -> str:
    """Return the id under which a model's offline runs lie; the same in every process and after restarts."""
    return str(uuid.uuid5(_NAMESPACE, model))


@dataclass(frozen=True, slots=True)
class Claim:
    """A folder that only this process writes to, until ``release``."""

    path: Path
    lock: IO[str]

    def release(self) -> None:
        """Let other processes write to the folder."""
        self.lock.close()


def claim(folder: Path, model: str) -> Claim:
    """Return the first of a model's offline folders that no other process holds, mended, made if needed.

    Parameters
    ----------
    folder : Path
        ``STATE_DIR/neptune``; the client's ``.neptune`` is made in it.
    """
    for slot in itertools.count():
        found = _try_claim(folder, model, str(slot))
        if found is not None:
            found.path.mkdir(parents=True, exist_ok=True)
            mend(found.path)
            return found
    raise AssertionError("unreachable: slots are endless")


def _try_claim(folder: Path, model: str, slot: str) -> Claim | None:
    locks = folder / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = (locks / f"{run_id(model)}.{slot}").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return Claim(_offline(folder) / f"run__{run_id(model)}__{slot}__vigia", lock)


def mend(path: Path) -> None:
    """Cut what a killed process left half written, and set the client's count to the last whole line.

    The client's reader stops for good at a broken line, so appending after one would lose all that follows.
    """
    logs = sorted(path.glob("data-*.log"), key=_first_version)
    if not logs:
        return
    content = logs[-1].read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        logs[-1].write_bytes(whole)
    last = json.loads(whole.splitlines()[-1])["version"] if whole else _first_version(logs[-1]) - 1
    (path / "last_put_version").write_text(str(last))


def adopt(folder: Path, model: str, server_id: str) -> int:
    """Turn a model's offline folders into unsent ones of the run ``server_id``; return how many there were.

    ``neptune sync`` then adds them to that run, where it would make a new one otherwise. Folders that another
    process writes to are left.
    """
    n_adopted = 0
    for path in _offline(folder).glob(f"run__{run_id(model)}__*__vigia"):
        held = _try_claim(folder, model, path.name.split("__")[2])
        if held is None:
            continue
        unsent = folder / ".neptune" / "async" / f"run__{server_id}__0__{secrets.token_hex(4)}"
        unsent.parent.mkdir(parents=True, exist_ok=True)
        path.rename(unsent)
        held.release()
        n_adopted += 1
    return n_adopted


def _offline(folder: Path) -> Path:
    return folder / ".neptune" / "offline"


def _first_version(log: Path) -> int:
    return int(log.stem.removeprefix("data-"))
