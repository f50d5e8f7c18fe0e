"""Who was live when, why and by whom. The newest entry of a model names its champion.

An entry is made by one insert that fails if another was first, so a promotion is atomic without a lock.
"""

from datetime import datetime
from typing import Literal

from pymongo.errors import DuplicateKeyError

from utils.errors import ConflictError
from utils.mongo.connection import Database, Document, translated
from utils.mongo.shape import FIELD, STAMP
from utils.time import now

Action = Literal["promote", "rollback"]
WITHOUT_ID = {"_id": 0, FIELD: 0}


class HistoryStore:
    """Collection ``model_history``: model, seq (from 1, without gaps), version, action, reason, by, at."""

    def __init__(self, db: Database) -> None:
        self._history = db["model_history"]

    def append(
        self, model: str, version: str, action: Action, reason: str, by: str, expected_seq: int | None = None
    ) -> Document:
        """Make ``version`` the champion of ``model`` and return the new entry.

        Parameters
        ----------
        expected_seq : int, optional
            ``seq`` of the entry on which the decision was based, 0 for none; by default the newest one now.

        Raises
        ------
        ConflictError
            If somebody else changed the champion since.
        """
        newest = self.current(model)
        seq = newest["seq"] if newest else 0
        if expected_seq not in (None, seq):
            raise ConflictError(_conflict(model))
        # Clocks of two machines differ a little; the history never runs backwards.
        at = max(now(), newest["at"]) if newest else now()
        entry: Document = {"model": model, "seq": seq + 1, "version": version, "action": action}
        entry |= {"reason": reason, "by": by, "at": at}
        try:
            with translated():
                self._history.insert_one({**entry, **STAMP})
        except DuplicateKeyError:
            raise ConflictError(_conflict(model)) from None
        return entry

    def current(self, model: str) -> Document | None:
        """Return the newest entry of ``model``, None if it never had a champion."""
        with translated():
            return self._history.find_one({"model": model}, WITHOUT_ID, sort=[("seq", -1)])

    def champions(self) -> dict[str, Document]:
        """Return the newest entry of every model, by name. Cheap: one look into the index for each model."""
        newest = {"_id": "$model", "entry": {"$first": "$$ROOT"}}
        steps: list[Document] = [
            {"$sort": {"model": -1, "seq": -1}},
            {"$group": newest},
            {"$unset": ["entry._id", f"entry.{FIELD}"]},
        ]
        with translated():
            return {found["_id"]: found["entry"] for found in self._history.aggregate(steps)}

    def at(self, model: str, instant: datetime) -> Document | None:
        """Return the entry that was live at ``instant``, None before the first."""
        query = {"model": model, "at": {"$lte": instant}}
        with translated():
            return self._history.find_one(query, WITHOUT_ID, sort=[("seq", -1)])

    def all(self, model: str) -> list[Document]:
        """Return all entries of ``model``, oldest first."""
        with translated():
            return list(self._history.find({"model": model}, WITHOUT_ID).sort("seq", 1))


def _conflict(model: str) -> str:
    return (
        f"Somebody else changed the champion of {model} in the meantime; look at its history and decide again"
    )
