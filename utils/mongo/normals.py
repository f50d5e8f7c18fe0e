"""Windows that somebody accepted as the new normal of drift checks; the newest act counts."""

from collections.abc import Mapping
from typing import Any

from pymongo.errors import DuplicateKeyError

from utils.errors import ConflictError
from utils.mongo.connection import Database, Document, Documents, translated

Parts = Mapping[str, bytes]


class NormalStore:
    """Collection ``drift_references``: model, seq (from 1, without gaps), action (accept, reset), version,
    start, end, n_rows, reason, by, at and the counts of the window."""

    def __init__(self, db: Database) -> None:
        self._normals = db["drift_references"]

    def append(self, model: str, entry: Mapping[str, Any], parts: Parts | None) -> Document:
        """Store an act and return it; raises ConflictError if another was at the same moment.

        ``parts`` are the counts of the window, None where the act is to go back to the spec's reference.
        """
        newest = self.current(model)
        seq = newest["seq"] + 1 if newest else 1
        document = {"model": model, "seq": seq, **entry}
        pairs = None if parts is None else [{"name": n, "counts": counts} for n, counts in parts.items()]
        try:
            with translated():
                self._normals.insert_one({"_id": f"{model}/{seq}", **document, "parts": pairs})
        except DuplicateKeyError:
            raise ConflictError(f"Somebody else changed the reference of {model} just now.") from None
        return document

    def current(self, model: str) -> Document | None:
        """Return the newest act with ``parts`` as a mapping or None; None if there was no act."""
        with translated():
            found = self._normals.find_one({"model": model}, {"_id": 0}, sort=[("seq", -1)])
        if found and found["parts"] is not None:
            found["parts"] = {pair["name"]: bytes(pair["counts"]) for pair in found["parts"]}
        return found

    def all(self, model: str) -> Documents:
        """Return all acts, oldest first, without counts."""
        with translated():
            return list(self._normals.find({"model": model}, {"_id": 0, "parts": 0}).sort("seq", 1))
