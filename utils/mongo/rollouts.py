"""Challengers beside the champion: those that score the log, and those that answer a share of requests."""

from datetime import datetime
from typing import Literal

from utils.mongo.connection import Database, Document, Documents, translated

Kind = Literal["shadow", "canary"]


class RolloutStore:
    """Collection ``rollouts``: at most one of each kind a model.

    A document has ``kind``, ``model``, ``version``, ``share`` (of requests, for a canary), ``by`` and ``at``.
    """

    def __init__(self, db: Database) -> None:
        self._rollouts = db["rollouts"]

    def begin(
        self, kind: Kind, model: str, version: str, *, by: str, at: datetime, share: float | None = None
    ) -> Document:
        """Let a challenger take part from now on, in place of any other of this kind."""
        entry: Document = {"kind": kind, "model": model, "version": version, "share": share}
        entry |= {"by": by, "at": at}
        with translated():
            self._rollouts.replace_one({"_id": f"{kind}/{model}"}, entry, upsert=True)
        return entry

    def end(self, kind: Kind, model: str) -> Document | None:
        """End it and return what it was, None if there was none."""
        with translated():
            return self._rollouts.find_one_and_delete({"_id": f"{kind}/{model}"}, {"_id": 0})

    def get(self, kind: Kind, model: str) -> Document | None:
        """Return what takes part now, None if nothing does."""
        with translated():
            return self._rollouts.find_one({"_id": f"{kind}/{model}"}, {"_id": 0})

    def all(self, kind: Kind) -> Documents:
        """Return what takes part now, of all models."""
        with translated():
            return list(self._rollouts.find({"kind": kind}, {"_id": 0}))
