"""Answers of a run into MongoDB: part after part in the order of the rows, each once, however often sent.

The prediction ids were given when the run began, so what is sent again after a kill is there already; and
rows become visible in their order, so that whoever counts the log misses none. Refusals are counted once,
too: those of a part are stored under an id of their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from mlops.batch.workfolder import LOG, Done, Plan, WorkFolder
from mlops.sealing import Sealing
from utils.time import now

DOCUMENTS_AT_ONCE = 1_000


class Store(Protocol):
    """Where predictions go; see ``utils.mongo.predictions.PredictionStore``."""

    def add_many(self, documents: list[bytes]) -> int:
        """Store all that is not stored yet and return how many that were."""


class Refusals(Protocol):
    """Where refusals are counted; see ``utils.mongo.rejections.RejectionStore``."""

    def add(
        self, model: str, reasons: Mapping[str, int], sample: Any, at: datetime, batch: str | None = None
    ) -> None:
        """Store how many rows were refused for which reason, once for the same ``batch``."""


@dataclass(frozen=True)
class Log:
    """Where a run's answers and refusals are kept.

    ``redacted`` are the fields of which it sees nothing or less, ``redaction_key`` the key of hashes; see
    ``mlops.redaction``. ``sealing`` encrypts fields of what it sees.
    """

    predictions: Store
    refusals: Refusals
    redacted: tuple[str, ...] = ()
    redaction_key: bytes = field(default=b"", repr=False)
    sealing: Sealing = field(default_factory=Sealing)


def ship_refusals(plan: Plan, index: int, done: Done, store: Refusals) -> None:
    """Count the rows of a part that were refused, unless they are. Raises as ``ship`` does."""
    if done.reasons:
        store.add(plan.model, done.reasons, done.sample, now(), f"{plan.refusals_id or plan.id}-{index:06d}")


def ship(folder: WorkFolder, index: int, store: Store) -> None:
    """Store what a part left for the log, if that is still to do.

    Raises UnavailableError while MongoDB is away; the run may go on later.
    """
    name = f"{index:06d}.{LOG}"
    content = folder.read(name)
    if content is None:
        return
    waiting: list[bytes] = []
    for document in _documents(content):
        waiting.append(document)
        if len(waiting) == DOCUMENTS_AT_ONCE:
            store.add_many(waiting)
            waiting = []
    store.add_many(waiting)
    folder.forget(name)


def _documents(content: bytes) -> Iterator[bytes]:
    """Yield documents that stand one after another; BSON begins with its length."""
    start = 0
    while start < len(content):
        end = start + int.from_bytes(content[start : start + 4], "little")
        yield content[start:end]
        start = end
