"""The log of predictions: one document a row, each stored once however often it is sent.

Only complete documents come in and go out; what they mean is the business of those who write and read them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Protocol

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from utils.errors import UnavailableError
from utils.mongo.connection import PASSING_CODES, Collection, Database, Document, translated
from utils.mongo.raw_rows import LoggedColumns, array_of, read_rows

DUPLICATE = 11000
HELD = "held_predictions"
REWRITTEN_AT_ONCE = 1_000
RAW = CodecOptions(document_class=RawBSONDocument)
SAMPLED_A_RANGE = 40
COUNTED = ("seq", "model", "version", "at", "features", "prediction", "probability", "warnings")


@dataclass(frozen=True)
class IdRange:
    """Prediction ids from ``first`` on and below ``end``; None leaves an end open."""

    first: str | None = None
    end: str | None = None

    def query(self) -> Document:
        """Return the condition on an id; empty if there is none."""
        bounds = {"$gte": self.first, "$lt": self.end}
        return {name: bound for name, bound in bounds.items() if bound is not None}


def encode(document: Mapping[str, Any]) -> bytes:
    """Return ``document`` as BSON, to be kept by a queue and given to ``PredictionStore.add_many`` later.

    Raises
    ------
    ValueError
        If a value cannot be stored: of an unknown type, an integer over 64 bits, text that is not Unicode.
    """
    try:
        return bson.encode(document)
    except (bson.errors.InvalidDocument, OverflowError, UnicodeError) as error:
        raise ValueError(f"This prediction cannot be stored: {error}") from error


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search wants of predictions; what is None does not matter. ``end`` is not included."""

    start: datetime | None = None
    end: datetime | None = None
    version: str | None = None
    subject: str | None = None
    has_warnings: bool = False

    def query(self, model: str) -> Document:
        """Return the filter."""
        found: Document = {"model": model}
        times = {"$gte": self.start, "$lt": self.end}
        if given := {name: moment for name, moment in times.items() if moment is not None}:
            found["at"] = given
        found |= {} if self.version is None else {"version": self.version}
        found |= {} if self.subject is None else {"subject": self.subject}
        return found | ({"warnings.0": {"$exists": True}} if self.has_warnings else {})


class Opener(Protocol):
    """Makes what is read readable, where values are kept encrypted."""

    def document(self, document: Document) -> Document:
        """Return a document that may lack fields; may change it."""

    def columns(self, table: LoggedColumns) -> LoggedColumns:
        """Return rows."""


class PredictionStore:
    """Collection ``predictions``; ``_id`` is the prediction id.

    All that is read goes through ``opener``, where there is one.
    """

    def __init__(self, db: Database, opener: Opener | None = None) -> None:
        self._predictions = db["predictions"]
        self._opener = opener

    def _opened(self, documents: Iterable[Document]) -> Iterator[Document]:
        return iter(documents) if self._opener is None else map(self._opener.document, documents)

    def _read(self, array: bytes) -> list[LoggedColumns]:
        tables = read_rows(array)
        return tables if self._opener is None else list(map(self._opener.columns, tables))

    def add_many(self, documents: Sequence[Document | bytes]) -> int:
        """Store documents and return how many were new.

        What is stored already is left as it is, so the same batch may be sent until it is acknowledged. They
        become visible in the order given, so who reads a spool by position meets no gap that is filled later,
        as long as a batch is acknowledged before the next of that spool is sent.

        Parameters
        ----------
        documents : sequence of dict or bytes
            Each with ``_id``, as a dict or as ``encode`` made it (cheaper: it is not looked into). About
            1,000 at a time are cheapest.

        Raises
        ------
        UnavailableError
            If MongoDB did not acknowledge all of them; any number of them may be stored.
        """
        if not documents:
            return 0
        batch = [
            RawBSONDocument(document) if isinstance(document, bytes) else document for document in documents
        ]
        try:
            with translated():
                self._predictions.insert_many(batch, ordered=False)
        except BulkWriteError as error:
            _only_duplicates(error)
            return int(error.details["nInserted"])
        return len(batch)

    def rewrite(self, change: Callable[[Document], Document]) -> Iterator[tuple[int, int]]:
        """Change stored rows, held copies too, and yield after each batch how many were seen and changed.

        Parameters
        ----------
        change : callable
            Gets a document as it is stored and returns the fields to replace, nothing for none.
        """
        for name in (self._predictions.name, HELD):
            yield from _rewritten(self._predictions.database[name], change)

    def get(self, prediction_id: str) -> Document | None:
        """Return one prediction, None if it is not stored."""
        with translated():
            found = self._predictions.find({"_id": prediction_id}).limit(1)
            return next(self._opened(found), None)

    def by_ids(
        self, prediction_ids: Sequence[str], *, fields: Sequence[str] | None = None
    ) -> dict[str, Document]:
        """Return those of these predictions that are stored, by id, with ``fields`` and ``_id`` or all."""
        with translated():
            found = self._predictions.find({"_id": {"$in": list(prediction_ids)}}, fields)
            return {document["_id"]: document for document in self._opened(found)}

    def window(
        self,
        model: str,
        start: datetime,
        end: datetime,
        *,
        version: str | None = None,
        fields: Sequence[str] | None = None,
    ) -> Iterator[Document]:
        """Yield the predictions of ``model`` in [start, end) by time, with ``fields`` and ``_id`` or all."""
        with translated():
            found = self._predictions.find(_filter(model, start, end, version), fields).sort("at", 1)
            yield from self._opened(found)

    def count(self, model: str, start: datetime, end: datetime, *, version: str | None = None) -> int:
        """Return the number of predictions of ``model`` in [start, end)."""
        with translated():
            return self._predictions.count_documents(_filter(model, start, end, version))

    def last(self, model: str, n: int) -> list[Document]:
        """Return the newest ``n`` predictions of ``model``, newest first."""
        with translated():
            return list(self._opened(self._predictions.find({"model": model}).sort("at", -1).limit(n)))

    def newest(
        self, model: str, version: str | None, start: datetime, end: datetime, n: int, fields: Sequence[str]
    ) -> list[Document]:
        """Return up to ``n`` predictions of a version (or of all) in [start, end), newest first."""
        query = _filter(model, start, end, version)
        with translated():
            found = self._predictions.find(query, list(fields)).sort("at", -1).limit(n)
            return list(self._opened(found))

    def search(self, model: str, sought: Sought, limit: int, *, after: str | None = None) -> list[Document]:
        """Return up to ``limit`` predictions of ``model`` that are as ``sought``, newest first.

        Parameters
        ----------
        after : str, optional
            The last id of the page before: those that come after it.
        """
        return list(self.each_sought(model, sought, limit, after=after))

    def each_sought(
        self, model: str, sought: Sought, limit: int, *, after: str | None = None
    ) -> Iterator[Document]:
        """Yield what ``search`` returns, in batches from the server: for downloads."""
        query = sought.query(model)
        if after is not None and (last := self.get(after)) is not None:
            older = [{"at": {"$lt": last["at"]}}, {"at": last["at"], "_id": {"$lt": after}}]
            query["$and"] = [{"$or": older}]
        with translated():
            found = self._predictions.find(query).sort([("at", -1), ("_id", -1)]).limit(limit)
            yield from self._opened(found)

    def latencies(self, model: str, n: int) -> list[float]:
        """Return the milliseconds that the newest ``n`` rows of ``model`` took."""
        with translated():
            found = self._predictions.find({"model": model}, ["latency_ms"]).sort("at", -1).limit(n)
            return [float(row["latency_ms"]) for row in found if row.get("latency_ms") is not None]

    def traffic(self, model: str, since: datetime) -> list[Document]:
        """Return ``{"hour", "version", "n_rows"}`` for each hour since ``since`` with rows, in order."""
        hour = {"$dateTrunc": {"date": "$at", "unit": "hour"}}
        steps: list[Document] = [
            {"$match": {"model": model, "at": {"$gte": since}}},
            {"$group": {"_id": {"hour": hour, "version": "$version"}, "n_rows": {"$sum": 1}}},
            {"$project": {"_id": 0, "hour": "$_id.hour", "version": "$_id.version", "n_rows": 1}},
            {"$sort": {"hour": 1, "version": 1}},
        ]
        with translated():
            return list(self._predictions.aggregate(steps))

    def last_positions(self) -> dict[str, int]:
        """Return for each spool from which predictions came the last position that is stored."""
        steps: list[Document] = [
            {"$sort": {"spool": -1, "seq": -1}},
            {"$group": {"_id": "$spool", "seq": {"$first": "$seq"}}},  # one look into the index a spool
        ]
        with translated():
            found = list(self._predictions.aggregate(steps))
        return {spool["_id"]: spool["seq"] for spool in found if spool["_id"] is not None}

    def after(self, spool: str, seq: int, limit: int) -> list[LoggedColumns]:
        """Return up to ``limit`` predictions of ``spool`` behind position ``seq``, the next ones there.

        They come as columns, one item a model version, with what is needed to count them.
        """
        # A command and not a cursor: the driver makes an object of each document that a cursor brings.
        query = {
            "find": self._predictions.name,
            "filter": {"spool": spool, "seq": {"$gt": seq}},
            "projection": {"_id": 0, **dict.fromkeys(COUNTED, 1)},
            "sort": {"seq": 1},
            "limit": limit,
            "batchSize": limit,
            "singleBatch": True,
        }
        with translated():
            found = self._predictions.database.command(query, codec_options=RAW)
        return self._read(array_of(bytes(found["cursor"].raw), "firstBatch"))

    def id_ranges(self, n: int) -> list[IdRange]:
        """Cut the log into up to ``n`` ranges of ids of about as many rows each."""
        steps: list[Document] = [{"$sample": {"size": SAMPLED_A_RANGE * n}}, {"$project": {"_id": 1}}]
        with translated():
            ids = sorted({found["_id"] for found in self._predictions.aggregate(steps)})
        edges = [ids[place * len(ids) // n] for place in range(1, n)] if len(ids) >= n else []
        return [IdRange(first, end) for first, end in pairwise([None, *edges, None])]

    def in_range(
        self, model: str, ids: IdRange, positions: Mapping[str, int], batch: int
    ) -> Iterator[list[LoggedColumns]]:
        """Yield the rows of ``model`` in a range of ids, up to a position of each spool, as ``after`` does.

        Rows that came from no spool are left out, as they are when the log is counted.
        """
        if not positions:
            return
        query: Document = {"model": model, "_id": ids.query()} if ids.query() else {"model": model}
        query["$or"] = [{"spool": spool, "seq": {"$lte": seq}} for spool, seq in positions.items()]
        command = {"find": self._predictions.name, "filter": query, "batchSize": batch}
        command |= {"projection": {"_id": 0, **dict.fromkeys(COUNTED, 1)}, "sort": {"_id": 1}}
        db, part = self._predictions.database, "firstBatch"
        with translated(), db.client.start_session() as session:
            while command:
                cursor = db.command(command, codec_options=RAW, session=session)["cursor"]
                yield self._read(array_of(bytes(cursor.raw), part))
                more = {"getMore": cursor["id"], "collection": self._predictions.name, "batchSize": batch}
                command, part = more if cursor["id"] else {}, "nextBatch"


def _filter(model: str, start: datetime, end: datetime, version: str | None) -> Document:
    query: Document = {"model": model, "at": {"$gte": start, "$lt": end}}
    return query if version is None else query | {"version": version}


def _rewritten(collection: Collection, change: Callable[[Document], Document]) -> Iterator[tuple[int, int]]:
    query: Document = {}
    while True:
        with translated():
            found = list(collection.find(query).sort("_id", 1).limit(REWRITTEN_AT_ONCE))
            changes = {one["_id"]: change(one) for one in found}
            updates = [UpdateOne({"_id": one}, {"$set": new}) for one, new in changes.items() if new]
            if updates:
                collection.bulk_write(updates, ordered=False)
        if not found:
            return
        query = {"_id": {"$gt": found[-1]["_id"]}}
        yield len(found), len(updates)


def _only_duplicates(error: BulkWriteError) -> None:
    """Raise what is in ``error`` besides documents that are stored already."""
    codes = {fault["code"] for fault in error.details["writeErrors"]} - {DUPLICATE}
    if error.details["writeConcernErrors"] or codes & PASSING_CODES:
        raise UnavailableError("MongoDB did not acknowledge all predictions") from error
    if codes:
        raise error
