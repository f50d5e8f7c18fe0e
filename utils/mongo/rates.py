"""Counts of requests by caller, shared by all web processes: the storage that the library limits brings."""

from typing import Any

from limits.storage import MongoDBStorage, Storage

# A request waits for its count, so the count must not wait for MongoDB: milliseconds.
PATIENCE = {"serverSelectionTimeoutMS": 200, "connectTimeoutMS": 200, "socketTimeoutMS": 500}
NAMES = {"counter_collection_name": "rate_counters", "window_collection_name": "rate_windows"}


def storage(uri: str, database: str) -> Storage:
    """Return the storage in ``rate_counters`` and ``rate_windows``; raises ``StorageError`` of limits."""
    options: dict[str, Any] = {**PATIENCE, **NAMES}
    return MongoDBStorage(uri, database_name=database, wrap_exceptions=True, **options)
