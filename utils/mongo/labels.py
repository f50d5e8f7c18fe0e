"""Labels: the truth about predictions, at any later time, even before the prediction is stored.

The last one wins, and what it replaced is kept. Whether a label makes sense is checked before it comes here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from utils.mongo.connection import Database, Document, translated
from utils.mongo.shape import FIELD, STAMP

DUPLICATE = 11000


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about one prediction; ``at`` is when it reached this service."""

    prediction_id: str
    label: Any
    at: datetime


class LabelStore:
    """Collection ``labels``: ``_id`` (prediction id), ``label``, ``at``, ``history`` (what was replaced)."""

    def __init__(self, db: Database) -> None:
        self._labels = db["labels"]

    def put(self, prediction_id: str, label: Any, at: datetime) -> None:
        """Store one label; see ``put_many``."""
        self.put_many([Label(prediction_id, label, at)])

    def put_many(self, labels: Sequence[Label]) -> None:
        """Store labels. Of several for one prediction the newest by ``at`` wins, then the last.

        The same label again changes nothing, so a request may be sent until it is answered.
        """
        if not labels:
            return
        updates = [UpdateOne({"_id": label.prediction_id}, _update(label), upsert=True) for label in labels]
        with translated():
            try:
                self._labels.bulk_write(updates, ordered=True)
            except BulkWriteError as error:
                if any(fault["code"] != DUPLICATE for fault in error.details["writeErrors"]):
                    raise
                # Somebody inserted the same id at the same moment: now it is there, and is updated.
                self._labels.bulk_write(updates, ordered=True)

    def get(self, prediction_id: str) -> Document | None:
        """Return the label of one prediction with its history, None if it has none."""
        with translated():
            return self._labels.find_one({"_id": prediction_id}, {FIELD: 0})

    def for_predictions(self, prediction_ids: Sequence[str]) -> dict[str, Any]:
        """Return the labels of these predictions by id, without those that have none."""
        with translated():
            found = self._labels.find({"_id": {"$in": list(prediction_ids)}}, ["label"])
            return {document["_id"]: document["label"] for document in found}

    def documents(self, prediction_ids: Sequence[str]) -> dict[str, Document]:
        """Return the labels of these predictions by id, with ``label``, ``at`` and ``history``."""
        with translated():
            found = self._labels.find({"_id": {"$in": list(prediction_ids)}}, {FIELD: 0})
            return {document["_id"]: document for document in found}

    def n_labelled(self, prediction_ids: Iterable[str]) -> int:
        """Return how many of these predictions have a label."""
        with translated():
            return self._labels.count_documents({"_id": {"$in": list(prediction_ids)}})

    def changed(self, start: datetime, end: datetime) -> list[str]:
        """Return the ids of predictions whose label came in [start, end), in that order."""
        with translated():
            found = self._labels.find({"at": {"$gte": start, "$lt": end}}, ["_id"]).sort(
                [("at", 1), ("_id", 1)]
            )
            return [document["_id"] for document in found]


def _update(label: Label) -> list[Document]:
    """Return the pipeline that puts ``label`` into its document, which may be empty."""
    entry: Document = {"label": {"$literal": label.label}, "at": label.at}
    is_first = {"$eq": [{"$type": "$label"}, "missing"]}
    past = {"$ifNull": ["$history", []]}
    is_known = {"$or": [{"$eq": ["$label", entry["label"]]}, {"$in": [entry, past]}]}
    is_newer = {"$gte": [label.at, "$at"]}
    replaced = {"label": "$label", "at": "$at"}
    with_replaced = {"$concatArrays": [past, [replaced]]}
    with_late = {"$concatArrays": [past, [entry]]}
    cases = [
        {"case": is_first, "then": entry | {"history": [], **STAMP}},
        {"case": is_known, "then": {}},
        {"case": is_newer, "then": entry | {"history": with_replaced}},
    ]
    change = {"$switch": {"branches": cases, "default": {"history": with_late}}}
    return [{"$replaceWith": {"$mergeObjects": ["$$ROOT", change]}}]
