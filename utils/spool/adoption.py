"""Spools of processes that died: whoever finds one first takes it over."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from utils.spool.claim import Claim
from utils.spool.queue import Spool

log = logging.getLogger(__name__)


def adopt_orphans(folder: Path) -> Iterator[Spool]:
    """Yield the spools in ``folder`` that nobody holds any more and that were used.

    Each is held by this process from then on; ship what it has, if anything, and ``close`` it, which removes
    what is empty.
    Segments that cannot be read are renamed to ``*.corrupt`` and logged, and never deleted.
    """
    for name in sorted(_names(folder)):
        spool = _adopt(folder, name)
        if spool is not None and spool.answered:
            yield spool
        elif spool is not None:
            spool.close()


def _names(folder: Path) -> set[str]:
    return {path.name.split(".")[0] for pattern in ("*.lock", "*.sqlite") for path in folder.glob(pattern)}


def _adopt(folder: Path, name: str) -> Spool | None:
    claim = Claim.take(folder / f"{name}.lock")
    if claim is None:
        return None
    try:
        return Spool.recover(folder, name, claim)
    except (sqlite3.Error, OSError):
        # No memory or no file handles: left as it is, for the next attempt.
        log.exception("Cannot take over the spool %s now.", name)
        claim.release(remove=False)
        return None
