"""Cell counts by model version and hour, and how far the log has been counted.

Counts and watermark change in one transaction, so that a counter that is killed anywhere counts each row
exactly once. What the counts mean is not known here: they are bytes that the caller can add up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pymongo
from pymongo.client_session import ClientSession

from utils.errors import ConflictError
from utils.mongo.connection import Database, Document, translated

Parts = Mapping[str, bytes]
COMMIT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """Whose counts: rows of one model version that were answered in the hour that begins at ``hour``."""

    model: str
    version: str
    hour: datetime

    @property
    def key(self) -> str:
        """The document's id."""
        return f"{self.model}/{self.version}/{self.hour.isoformat()}"


NOTHING = -1  # the watermark of a spool of which no row is counted


class CountStore:
    """Collections ``drift_counts`` (one document a cell) and ``watermarks`` (one a spool)."""

    def __init__(self, db: Database) -> None:
        self._client = db.client
        self._counts = db["drift_counts"]
        self._watermarks = db["watermarks"]

    def watermarks(self) -> dict[str, int]:
        """Return the position up to which rows are counted of each spool of which any are."""
        with translated():
            return {found["_id"]: int(found["seq"]) for found in self._watermarks.find()}

    def commit(
        self,
        spool: str,
        before: int,
        after: int,
        additions: Mapping[Cell, tuple[int, Parts]],
        add: Callable[[Cell, Parts, Parts], Parts],
    ) -> None:
        """Add counts and move the watermark of ``spool`` from ``before`` to ``after``, both or neither.

        Parameters
        ----------
        additions : mapping of Cell to (rows, parts)
            Counts of the rows between the two positions.
        add : callable
            Given a cell and two ``parts`` of it, returns their sum.

        Raises
        ------
        ConflictError
            If another counter moved this watermark first; nothing was changed.
        UnavailableError
            If MongoDB is away; it may have been changed or not, as the watermark tells.
        """

        def work(session: ClientSession) -> None:
            self._move(spool, before, after, session)
            for cell, (n_rows, parts) in additions.items():
                self._add(cell, n_rows, parts, add, session)

        # Without a limit the driver would try again for two minutes while MongoDB is away.
        with translated(), pymongo.timeout(COMMIT_TIMEOUT_S), self._client.start_session() as session:
            session.with_transaction(work)

    def _move(self, spool: str, before: int, after: int, session: ClientSession) -> None:
        found = self._watermarks.find_one({"_id": spool}, session=session)
        if (int(found["seq"]) if found else NOTHING) != before:
            raise ConflictError(f"Another counter is at work on spool {spool}.")
        self._watermarks.update_one({"_id": spool}, {"$set": {"seq": after}}, upsert=True, session=session)

    def _add(
        self,
        cell: Cell,
        n_rows: int,
        parts: Parts,
        add: Callable[[Cell, Parts, Parts], Parts],
        session: ClientSession,
    ) -> None:
        found = self._counts.find_one({"_id": cell.key}, session=session)
        total = add(cell, _parts(found), parts) if found else parts
        change = {
            "$set": {"model": cell.model, "version": cell.version, "hour": cell.hour, "parts": _pairs(total)},
            "$inc": {"n_rows": n_rows},
        }
        self._counts.update_one({"_id": cell.key}, change, upsert=True, session=session)

    def hours(self, model: str, version: str, start: datetime, end: datetime) -> dict[datetime, Parts]:
        """Return the parts of each hour that begins in [start, end) and has rows."""
        query = {"model": model, "version": version, "hour": {"$gte": start, "$lt": end}}
        with translated():
            return {found["hour"]: _parts(found) for found in self._counts.find(query)}

    def traffic(self, model: str, start: datetime, end: datetime) -> list[Document]:
        """Return ``hour``, ``version`` and ``n_rows`` of each hour in [start, end) with rows, by time."""
        query = {"model": model, "hour": {"$gte": start, "$lt": end}}
        fields = {"_id": 0, "hour": 1, "version": 1, "n_rows": 1}
        with translated():
            return list(self._counts.find(query, fields).sort("hour", 1))


def _pairs(parts: Parts) -> list[Document]:
    # Pairs and not a document: names of features may hold dots and dollars.
    return [{"name": name, "counts": counts} for name, counts in parts.items()]


def _parts(document: Document) -> dict[str, bytes]:
    return {pair["name"]: bytes(pair["counts"]) for pair in document["parts"]}
