"""Rows that were refused, by reason, with a sample: the part of data quality that no prediction shows."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from utils.mongo.connection import Database, Document, translated


class RejectionStore:
    """Collection ``rejections``: ``model``, ``at``, ``reasons`` [{``reason``, ``n_rows``}], ``sample``."""

    def __init__(self, db: Database) -> None:
        self._rejections = db["rejections"]

    def add(
        self, model: str, reasons: Mapping[str, int], sample: Any, at: datetime, batch: str | None = None
    ) -> None:
        """Store how many rows were refused for which reason, and one of them.

        One call for the refusals of a second or more, not one for each: there may be a flood of them.
        Of calls with the same ``batch``, an id, the first one counts.
        """
        # Reasons hold feature names, so they are values and not keys.
        counts = [{"reason": reason, "n_rows": n_rows} for reason, n_rows in reasons.items()]
        document = {"model": model, "at": at, "reasons": counts, "sample": sample}
        document |= {} if batch is None else {"_id": batch}
        with translated(), suppress(DuplicateKeyError):
            self._rejections.insert_one(document)

    def counts(self, model: str, start: datetime, end: datetime) -> dict[str, int]:
        """Return the rows refused in [start, end) by reason."""
        total = {"_id": "$reasons.reason", "n_rows": {"$sum": "$reasons.n_rows"}}
        steps: list[Document] = [
            {"$match": {"model": model, "at": {"$gte": start, "$lt": end}}},
            {"$unwind": "$reasons"},
            {"$group": total},
            {"$sort": {"_id": 1}},
        ]
        with translated():
            return {found["_id"]: found["n_rows"] for found in self._rejections.aggregate(steps)}

    def last(self, model: str, n: int) -> list[Document]:
        """Return the newest ``n`` entries of ``model``, newest first."""
        with translated():
            found = self._rejections.find({"model": model}, {"_id": 0}).sort("at", -1).limit(n)
            return list(found)
