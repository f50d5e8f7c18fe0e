"""People whose rows are logged: what is kept of an erasure or a hold, and all rows of one person.

Of a person only a keyed digest is kept here, so the list of those who asked to be forgotten names nobody.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument

from utils.mongo.connection import Database, Document, Documents, translated

# Rows under a hold have a copy that retention does not reach.
KEPT = {"predictions": "held_predictions", "labels": "held_labels"}


class SubjectStore:
    """Collection ``subjects``: ``_id`` (digest), ``erased_at``, ``erased_by``, ``n_rows``, ``hold``."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._subjects = db["subjects"]

    def get(self, digest: str) -> Document | None:
        """Return what is kept of one person, None for nothing."""
        with translated():
            return self._subjects.find_one({"_id": digest})

    def known(self, digests: Collection[str]) -> Documents:
        """Return what is kept of these people, those of whom nothing is left out."""
        with translated():
            return list(self._subjects.find({"_id": {"$in": list(digests)}}))

    def mark_erased(self, digest: str, at: datetime, by: str) -> bool:
        """Note that all rows up to ``at`` go; False, and nothing noted, if they are held."""
        change = {"$set": {"erased_at": at, "erased_by": by}}
        with translated():
            kept = self._subjects.find_one_and_update(
                {"_id": digest, "hold": None}, change, return_document=ReturnDocument.AFTER
            )
            if kept is None and self._subjects.find_one({"_id": digest}) is None:
                self._subjects.update_one({"_id": digest}, change, upsert=True)
                return True
            return kept is not None

    def count_erased(self, digest: str, n_rows: int) -> None:
        """Add to how many rows of a person were erased."""
        with translated():
            self._subjects.update_one({"_id": digest}, {"$inc": {"n_rows": n_rows}})

    def hold(self, digest: str, hold: Document | None) -> None:
        """Put a person's rows under a hold (``reason``, ``by``, ``at``), or end it with None."""
        with translated():
            self._subjects.update_one({"_id": digest}, {"$set": {"hold": hold}}, upsert=True)

    def rows(self, subjects: Sequence[str]) -> Documents:
        """Return the predictions of a person, the oldest first, held copies among them."""
        found: dict[str, Document] = {}
        with translated():
            for name in (KEPT["predictions"], "predictions"):
                found |= {
                    row["_id"]: row for row in self._db[name].find({"subject": {"$in": list(subjects)}})
                }
        return sorted(found.values(), key=lambda row: (row["at"], row["_id"]))

    def labels(self, prediction_ids: Sequence[str]) -> dict[str, Document]:
        """Return the labels of predictions by id, held copies among them."""
        found: dict[str, Document] = {}
        with translated():
            for name in (KEPT["labels"], "labels"):
                cursor = self._db[name].find({"_id": {"$in": list(prediction_ids)}})
                found |= {label["_id"]: label for label in cursor}
        return found

    def copy(self, subjects: Sequence[str], prediction_ids: Sequence[str]) -> None:
        """Keep a copy of a person's predictions and labels, apart from what retention deletes."""
        queries: dict[str, Any] = {
            "predictions": {"subject": {"$in": list(subjects)}},
            "labels": {"_id": {"$in": list(prediction_ids)}},
        }
        with translated():
            for name, query in queries.items():
                into = {"$merge": {"into": KEPT[name], "whenMatched": "replace"}}
                self._db[name].aggregate([{"$match": query}, into])

    def delete_copies(self, subjects: Sequence[str]) -> None:
        """Delete the copies of a hold that has ended."""
        query = {"subject": {"$in": list(subjects)}}
        with translated():
            ids = [row["_id"] for row in self._db[KEPT["predictions"]].find(query, ["_id"])]
            self._db[KEPT["labels"]].delete_many({"_id": {"$in": ids}})
            self._db[KEPT["predictions"]].delete_many(query)

    def delete(self, subjects: Sequence[str], until: datetime) -> list[str]:
        """Delete a person's predictions up to ``until`` with their labels; return the ids of them all.

        Labels go first: were it interrupted, the predictions lead to the rest the next time.
        """
        query = {"subject": {"$in": list(subjects)}, "at": {"$lte": until}}
        with translated():
            ids = [row["_id"] for row in self._db["predictions"].find(query, ["_id"])]
            self._db["labels"].delete_many({"_id": {"$in": ids}})
            self._db["predictions"].delete_many(query)
        return ids
