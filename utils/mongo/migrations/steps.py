"""The steps from one shape of the database to the next, in order. A released step never changes.

A step gets the position that its last run noted, None at first, and a function that notes one. It must bear
being run again from its beginning, and programs of the version before working on the same documents.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from utils.mongo.connection import Collection, Database
from utils.mongo.shape import FIELD

Position = dict[str, Any]
Mark = Callable[[Position], None]

BATCH = 2_000
STAMPED = (
    "model_versions",
    "model_history",
    "alerts",
    "drift_reports",
    "quality_reports",
    "shadow_reports",
    "labels",
    "predictions",
)


@dataclass(frozen=True)
class Step:
    """One change. ``version`` is the schema version after it, ``oldest_program`` who can live with it."""

    version: int
    name: str
    apply: Callable[[Database, Position | None, Mark], None]
    oldest_program: int = 0


def stamp(db: Database, position: Position | None, mark: Mark) -> None:
    """Give documents that say nothing of their shape the version of the first one."""
    begun = position or {"collection": STAMPED[0], "after": None}
    for name in STAMPED[STAMPED.index(begun["collection"]) :]:
        after = begun["after"] if name == begun["collection"] else None
        for last in _stamped(db[name], after):
            mark({"collection": name, "after": last})


def _stamped(collection: Collection, after: Any) -> Iterator[Any]:
    """Stamp a batch at a time; yield the last id of each."""
    query: dict[str, Any] = {FIELD: {"$exists": False}}
    while True:
        behind = {} if after is None else {"_id": {"$gt": after}}
        ids = [one["_id"] for one in collection.find(query | behind, ["_id"]).sort("_id", 1).limit(BATCH)]
        if not ids:
            return
        after = ids[-1]
        collection.update_many(query | {"_id": {"$gte": ids[0], "$lte": after}}, {"$set": {FIELD: 1}})
        yield after


def drop_hours_index(db: Database, position: Position | None, mark: Mark) -> None:
    """Drop the index of hours whose keys are the first ones of the index ``traffic``."""
    superseded = "model_1_hour_1_version_1"
    if {superseded, "traffic"} <= db["drift_counts"].index_information().keys():
        db["drift_counts"].drop_index(superseded)


STEPS = (
    Step(1, "documents say which shape they have", stamp),
    Step(2, "one index of counted hours in place of two", drop_hours_index),
)
