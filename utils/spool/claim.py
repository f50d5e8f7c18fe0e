"""Who owns a spool: a file that its process keeps locked, and that the kernel unlocks when it dies."""

import fcntl
import os
from pathlib import Path


class Claim:
    """An exclusive lock on ``path``, held until ``release`` or the end of the process.

    A child that was forked shares it, and holds it as well until it ends.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle = handle

    @classmethod
    def take(cls, path: Path) -> "Claim | None":
        """Return the claim on ``path``, which is made where it is missing; None where somebody holds it."""
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return None
            if _is_at(handle, path):
                return cls(path, handle)
            # Its owner removed the file between our open and our lock: this lock protects nothing.
            os.close(handle)

    def release(self, *, remove: bool) -> None:
        """Give the claim up; ``remove`` the file where nothing of the spool is left."""
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
