"""Claims on ids that all machines share: collection ``claims``, by the clock of MongoDB."""

from datetime import datetime
from typing import Any

import pymongo
from bson.binary import Binary
from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError

from utils.claims import Claim
from utils.mongo.connection import Collection, Database, Document, translated

# A request waits for this, so not for long.
TIMEOUT_S = 0.5
MAX_OUTCOME_BYTES = 8_000_000


class ClaimStore:
    """Collection ``claims``: ``_id``, ``owner``, ``fingerprint``, ``at``, ``leased_until``, ``outcome``.

    Every method raises UnavailableError where MongoDB does not answer within half a second. An index lets the
    documents go after a day.
    """

    def __init__(self, db: Database) -> None:
        self._claims: Collection = db["claims"]
        # What is lost of an outcome with a primary is found out again, from the claim.
        self._outcomes: Collection = self._claims.with_options(write_concern=WriteConcern(w=1))

    def claim(self, name: str, owner: str, fingerprint: bytes, lease_s: float, at: datetime) -> Claim:
        """Claim ``name`` if it is free or its lease has ended, and return who has it now.

        ``at`` is when it was first claimed, unless the collection knows better.
        """
        change = _change(owner, fingerprint, lease_s, at)
        try:
            return self._apply(name, change)
        except DuplicateKeyError:  # another one made it at the same moment
            return self._apply(name, change)

    def finish(self, name: str, owner: str, outcome: bytes) -> None:
        """Note what came out; what is too large for a document is not kept."""
        if len(outcome) <= MAX_OUTCOME_BYTES:
            self._update(name, owner, {"outcome": Binary(outcome)})

    def release(self, name: str, owner: str) -> None:
        """Give up a claim of ``owner`` that came to nothing."""
        with translated(), pymongo.timeout(TIMEOUT_S):
            self._claims.delete_one({"_id": name, "owner": owner, "outcome": None})

    def _update(self, name: str, owner: str, fields: Document) -> None:
        with translated(), pymongo.timeout(TIMEOUT_S):
            self._outcomes.update_one({"_id": name, "owner": owner}, {"$set": fields})

    def _apply(self, name: str, change: list[Document]) -> Claim:
        with translated(), pymongo.timeout(TIMEOUT_S):
            found = self._claims.find_one_and_update(
                {"_id": name}, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        assert found is not None  # noqa: S101  an upsert finds what it made
        outcome = found.get("outcome")
        kept = None if outcome is None else bytes(outcome)
        return Claim(found["owner"], bytes(found["fingerprint"]), found["at"], kept is not None, kept)


def _change(owner: str, fingerprint: bytes, lease_s: float, at: datetime) -> list[Document]:
    """Return what takes a claim that is free, and leaves every other as it is."""
    wanted: Any = Binary(fingerprint)
    is_same = {"$eq": [{"$ifNull": ["$fingerprint", wanted]}, wanted]}
    is_over = {"$lte": ["$leased_until", "$$NOW"]}  # a missing field is less than any date
    is_open = {"$eq": [{"$type": "$outcome"}, "missing"]}
    taken = {
        "owner": {"$literal": owner},
        "fingerprint": wanted,
        "at": {"$ifNull": ["$at", at]},
        "leased_until": {"$add": ["$$NOW", round(lease_s * 1_000)]},
    }
    is_free = {"$and": [is_same, is_over, is_open]}
    return [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"$cond": [is_free, taken, {}]}]}}]
