"""Leases: a name held by one owner for a time, by the clock of MongoDB, whatever the owners' clocks say."""

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from utils.mongo.connection import Database, Document, translated


class LeaseStore:
    """Collection ``leases``: ``_id`` (name), ``owner``, ``expires_at``."""

    def __init__(self, db: Database) -> None:
        self._leases = db["leases"]

    def acquire(self, name: str, owner: str, ttl_s: float) -> bool:
        """Take the lease if it is free, expired or one's own; return whether ``owner`` holds it now.

        Parameters
        ----------
        owner : str
            Different for each process that may hold it.
        ttl_s : float
            Seconds after which others may take it, unless it is renewed.
        """
        is_mine = {"$eq": ["$owner", owner]}
        is_free = {"$lte": ["$expires_at", "$$NOW"]}  # a missing field is less than any date
        taken = {"owner": owner, "expires_at": {"$add": ["$$NOW", round(ttl_s * 1000)]}}
        change = {"$mergeObjects": ["$$ROOT", {"$cond": [{"$or": [is_mine, is_free]}, taken, {}]}]}
        try:
            return self._replace({"_id": name}, change, upsert=True) == owner
        except DuplicateKeyError:  # another one made it at the same moment
            return False

    def renew(self, name: str, owner: str, ttl_s: float) -> bool:
        """Hold the lease for another ``ttl_s`` seconds; False if somebody else has it by now."""
        expires_at = {"$add": ["$$NOW", round(ttl_s * 1000)]}
        change = {"$mergeObjects": ["$$ROOT", {"expires_at": expires_at}]}
        return self._replace({"_id": name, "owner": owner}, change) == owner

    def release(self, name: str, owner: str) -> None:
        """Give the lease back, if it is still ``owner``'s."""
        with translated():
            self._leases.delete_one({"_id": name, "owner": owner})

    def _replace(self, query: Document, change: Document, *, upsert: bool = False) -> str | None:
        """Return who holds the lease after the change, None if the query found none."""
        with translated():
            lease = self._leases.find_one_and_update(
                query, [{"$replaceWith": change}], upsert=upsert, return_document=ReturnDocument.AFTER
            )
        return None if lease is None else str(lease["owner"])
