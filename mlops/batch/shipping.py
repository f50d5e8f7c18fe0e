"""Answers of a run into MongoDB: part after part in the order of the rows, each once, however often sent.

The prediction ids were given when the run began, so what is sent again after a kill is there already; and
rows become visible in their order, so that whoever counts the log misses none.
"""

from collections.abc import Iterator
from typing import Protocol

from mlops.batch.workfolder import LOG, WorkFolder

DOCUMENTS_AT_ONCE = 1_000


class Store(Protocol):
    """Where predictions go; see ``utils.mongo.predictions.PredictionStore``."""

    def add_many(self, documents: list[bytes]) -> int:
        """Store all that is not stored yet and return how many that were."""


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
