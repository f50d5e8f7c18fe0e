"""Cell counts by model version and hour, and how far the log has been counted.

Each document of counts says up to which position of each spool it holds the rows, and changes as a whole. So
a counter that is killed anywhere, or is not alone, counts each row exactly once, without a transaction: one
that lost its counter would block all others until the server ends it, a minute later.
What the counts mean is not known here: they are bytes that the caller can add up.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from utils.mongo.connection import Database, Document, translated

Parts = Mapping[str, bytes]


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

# Given a cell and a position, the number of its rows behind that position, and their counts.
RowsSince = Callable[[Cell, int], tuple[int, Parts]]
Sum = Callable[[Cell, Parts, Parts], Parts]


class CountStore:
    """Collections ``drift_counts`` (one document a cell) and ``watermarks`` (one a spool)."""

    def __init__(self, db: Database) -> None:
        self._counts = db["drift_counts"]
        self._watermarks = db["watermarks"]

    def watermarks(self) -> dict[str, int]:
        """Return the position up to which rows are counted of each spool of which any are."""
        with translated():
            return {found["_id"]: int(found["seq"]) for found in self._watermarks.find()}

    def commit(
        self, spool: str, before: int, after: int, cells: Iterable[Cell], rows_since: RowsSince, add: Sum
    ) -> tuple[int, int]:
        """Add the rows of ``spool`` in (before, after] to ``cells``, then move its watermark.

        Parameters
        ----------
        cells : iterable of Cell
            All that have such rows.
        rows_since : callable
            Counts the rows of a cell in (position, after]; a position behind ``before`` means that a counter
            which was killed, or is at work now, has added those up to it.
        add : callable
            Given a cell and two ``parts`` of it, returns their sum.

        Returns
        -------
        (int, int)
            Rows that were added here and not by another counter, and the watermark: at ``after``, or further
            if another counter is ahead.

        Raises
        ------
        UnavailableError
            If MongoDB is away; any of the cells may have the rows, and the next call adds the others.
        """
        with translated():
            n_rows = sum(self._add(spool, before, after, cell, rows_since, add) for cell in cells)
            return n_rows, self._move(spool, after)

    def _move(self, spool: str, after: int) -> int:
        """Move a watermark forwards, never back, and return where it is."""
        while True:
            try:
                found = self._watermarks.find_one_and_update(
                    {"_id": spool},
                    {"$max": {"seq": after}},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # another counter was the first of this spool
                continue
            return int(found["seq"]) if found else after

    def _add(self, spool: str, before: int, after: int, cell: Cell, rows_since: RowsSince, add: Sum) -> int:
        while True:
            found = self._counts.find_one({"_id": cell.key})
            counted = _counted(found)
            since = max(before, counted.get(spool, NOTHING))
            if since >= after:
                return 0
            n_rows, parts = rows_since(cell, since)
            total = add(cell, parts_of(found), parts) if found else parts
            if self._put(cell, found, n_rows, total, counted | {spool: after}):
                return n_rows

    def _put(
        self, cell: Cell, found: Document | None, n_rows: int, parts: Parts, counted: Mapping[str, int]
    ) -> bool:
        """Write a cell's document if nobody else did since it was read."""
        fields: Document = {"model": cell.model, "version": cell.version, "hour": cell.hour}
        fields |= {"parts": pairs_of(parts), "n_rows": n_rows + (found["n_rows"] if found else 0)}
        fields |= {"counted": [{"spool": spool, "seq": seq} for spool, seq in counted.items()]}
        if not found:
            try:
                self._counts.insert_one({"_id": cell.key, "revision": 1, **fields})
            except DuplicateKeyError:
                return False
            return True
        query = {"_id": cell.key, "revision": found["revision"]}
        return bool(self._counts.update_one(query, {"$set": fields, "$inc": {"revision": 1}}).matched_count)

    def hours(self, model: str, version: str, start: datetime, end: datetime) -> dict[datetime, Parts]:
        """Return the parts of each hour that begins in [start, end) and has rows."""
        query = {"model": model, "version": version, "hour": {"$gte": start, "$lt": end}}
        with translated():
            return {found["hour"]: parts_of(found) for found in self._counts.find(query)}

    def hours_among(self, model: str, version: str, hours: Iterable[datetime]) -> dict[datetime, Parts]:
        """Return the parts of those of ``hours`` that have rows, by hour."""
        keys = [Cell(model, version, hour).key for hour in hours]
        with translated():
            return {one["hour"]: parts_of(one) for one in self._counts.find({"_id": {"$in": keys}})}

    def all_hours(self, model: str, version: str) -> dict[datetime, Parts]:
        """Return the parts of every hour that has rows of a version."""
        with translated():
            found = self._counts.find({"model": model, "version": version})
            return {one["hour"]: parts_of(one) for one in found}

    def filled_hours(self, model: str, version: str, source: str) -> set[datetime]:
        """Return the hours that hold rows of a source whose name begins with ``source``."""
        query = {"model": model, "version": version, "counted.spool": {"$regex": f"^{re.escape(source)}"}}
        with translated():
            return {found["hour"] for found in self._counts.find(query, {"hour": 1})}

    def some_hours(self, model: str, version: str, hours: Iterable[datetime]) -> list[Parts]:
        """Return the parts of those of ``hours`` that have rows."""
        return list(self.hours_among(model, version, hours).values())

    def first_hour(self, model: str, version: str) -> datetime | None:
        """Return the first hour that has rows of a version."""
        query = {"model": model, "version": version}
        with translated():
            found = self._counts.find_one(query, {"hour": 1}, sort=[("hour", 1)])
        return found["hour"] if found else None

    def last_hour(self, model: str) -> datetime | None:
        """Return the last hour of which rows of a model are counted; it may not be counted to its end."""
        with translated():
            found = self._counts.find_one({"model": model}, {"_id": 0, "hour": 1}, sort=[("hour", -1)])
        return found["hour"] if found else None

    def traffic(self, model: str, start: datetime, end: datetime) -> list[Document]:
        """Return ``hour``, ``version`` and ``n_rows`` of each hour in [start, end) with rows, by time."""
        query = {"model": model, "hour": {"$gte": start, "$lt": end}}
        fields = {"_id": 0, "hour": 1, "version": 1, "n_rows": 1}
        with translated():
            return list(self._counts.find(query, fields).sort("hour", 1))


def pairs_of(parts: Parts) -> list[Document]:
    """Return counts as they are stored."""
    # Pairs and not a document: names of features may hold dots and dollars.
    return [{"name": name, "counts": counts} for name, counts in parts.items()]


def _counted(document: Document | None) -> dict[str, int]:
    return {one["spool"]: int(one["seq"]) for one in document["counted"]} if document else {}


def parts_of(document: Document) -> dict[str, bytes]:
    """Return the counts of a stored document."""
    return {pair["name"]: bytes(pair["counts"]) for pair in document["parts"]}
