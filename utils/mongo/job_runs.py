"""Job runs: one document for each job and due time, so that each due job runs exactly once.

The clock that inserts the document runs the job and sends heartbeats; when they stop, another takes the run
over. Staleness is measured by the clock of MongoDB, whatever the clocks of the machines say.
"""

from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from utils.mongo.connection import Database, Document, translated

WITHOUT_ID = {"_id": 0}


class JobRunStore:
    """Collection ``job_runs``.

    A document has ``job``, ``due_at``, ``state`` (``running`` or ``finished``), ``owner``, ``started_at``,
    ``heartbeat_at``, ``finished_at``, ``n_attempts``, ``outcome`` and ``detail``.
    """

    def __init__(self, db: Database) -> None:
        self._runs = db["job_runs"]

    def claim(self, job: str, due_at: datetime, owner: str) -> bool:
        """Return whether ``owner`` is the one to run ``job`` for ``due_at``; only one ever is."""
        run: Document = {"job": job, "due_at": due_at, "state": "running", "owner": owner, "n_attempts": 1}
        run |= {"started_at": "$$NOW", "heartbeat_at": "$$NOW", "finished_at": None}
        run |= {"outcome": None, "detail": None}
        is_new = {"$eq": [{"$type": "$state"}, "missing"]}
        change = {"$mergeObjects": ["$$ROOT", {"$cond": [is_new, run, {}]}]}
        try:
            with translated():
                result = self._runs.update_one(
                    {"_id": _name(job, due_at)}, [{"$replaceWith": change}], upsert=True
                )
        except DuplicateKeyError:  # another clock inserted it at the same moment
            return False
        return result.upserted_id is not None

    def heartbeat(self, job: str, due_at: datetime, owner: str) -> bool:
        """Say that the run goes on; False if it was taken over and should stop."""
        change = {"$currentDate": {"heartbeat_at": True}}
        return self._update(_held(job, due_at, owner), change)

    def finish(self, job: str, due_at: datetime, owner: str, outcome: str, detail: Any = None) -> bool:
        """Store how the run ended; False, and nothing stored, if it was taken over in the meantime."""
        change = {
            "$set": {"state": "finished", "outcome": outcome, "detail": detail},
            "$currentDate": {"finished_at": True},
        }
        return self._update(_held(job, due_at, owner), change)

    def take_over(self, owner: str, stale_s: float) -> Document | None:
        """Make one run whose holder fell silent ``owner``'s and return it; None if there is none.

        Parameters
        ----------
        stale_s : float
            Seconds without a heartbeat; several times the time between two of them.
        """
        silent_since = {"$subtract": ["$$NOW", round(stale_s * 1000)]}
        query = {"state": "running", "$expr": {"$lte": ["$heartbeat_at", silent_since]}}
        change = {
            "$set": {"owner": owner},
            "$inc": {"n_attempts": 1},
            "$currentDate": {"heartbeat_at": True},
        }
        with translated():
            return self._runs.find_one_and_update(
                query, change, WITHOUT_ID, sort=[("due_at", 1)], return_document=ReturnDocument.AFTER
            )

    def last(self, job: str, *, outcome: str | None = None) -> Document | None:
        """Return the run of ``job`` due last, of one outcome or any; None if there is none."""
        query = {"job": job} if outcome is None else {"job": job, "outcome": outcome}
        with translated():
            return self._runs.find_one(query, WITHOUT_ID, sort=[("due_at", -1)])

    def totals(self) -> dict[tuple[str, str], int]:
        """Return how many runs have ended, by job and outcome."""
        steps: list[Document] = [
            {"$match": {"state": "finished"}},
            {"$group": {"_id": {"job": "$job", "outcome": "$outcome"}, "n": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
        with translated():
            found = list(self._runs.aggregate(steps))
        return {(one["_id"]["job"], str(one["_id"]["outcome"])): one["n"] for one in found}

    def _update(self, query: Document, change: Document) -> bool:
        with translated():
            return self._runs.update_one(query, change).matched_count == 1


def _name(job: str, due_at: datetime) -> str:
    return f"{job}@{due_at.isoformat()}"


def _held(job: str, due_at: datetime, owner: str) -> Document:
    return {"_id": _name(job, due_at), "owner": owner, "state": "running"}
