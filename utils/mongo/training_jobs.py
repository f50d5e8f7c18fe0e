"""Training jobs: what was asked for, how far it is, how it ended.

Whoever trains sends heartbeats; a job that fell silent was killed, and is marked so by the first who looks.
Silence is measured by the clock of MongoDB.
"""

from collections.abc import Mapping
from typing import Any

from pymongo import ReturnDocument

from utils.mongo.connection import Database, Document, Documents, translated

SILENT_S = 30.0
HEAD = {
    **dict.fromkeys(("kind", "by", "state", "created_at", "ended_at", "problem.detail"), 1),
    **dict.fromkeys((f"result.{name}" for name in ("version", "is_promoted", "because", "gate.sentence")), 1),
}
KILLED: Document = {
    "status": 500,
    "code": "killed",
    "title": "Training was killed",
    "detail": "The training process ended before it was done; the champion is untouched. Ask again.",
}


class TrainingJobStore:
    """Collection ``training_jobs``.

    A document has ``id``, ``model``, ``kind``, ``by``, ``state`` (``waiting``, ``running``, ``finished``,
    ``failed``), ``progress``, ``created_at``, ``heartbeat_at``, ``ended_at``, ``result`` and ``problem``.
    """

    def __init__(self, db: Database) -> None:
        self._jobs = db["training_jobs"]

    def create(self, job_id: str, model: str, kind: str, by: str) -> None:
        """Note a job that is about to start; one that is noted already stays as it is."""
        job: Document = {"model": model, "kind": kind, "by": by, "state": "waiting", "progress": None}
        job |= {"created_at": "$$NOW", "heartbeat_at": "$$NOW", "ended_at": None, "result": None}
        job |= {"problem": None}
        is_new = {"$eq": [{"$type": "$state"}, "missing"]}
        change = {"$mergeObjects": ["$$ROOT", {"$cond": [is_new, job, {}]}]}
        with translated():
            self._jobs.update_one({"_id": job_id}, [{"$replaceWith": change}], upsert=True)

    def beat(self, job_id: str, progress: Mapping[str, Any] | None = None) -> None:
        """Say that the training goes on, and how far it is."""
        fields: Document = {"state": "running"} | ({} if progress is None else {"progress": dict(progress)})
        change = {"$set": fields, "$currentDate": {"heartbeat_at": True}}
        with translated():
            self._jobs.update_one({"_id": job_id, "ended_at": None}, change)

    def finish(self, job_id: str, result: Mapping[str, Any]) -> None:
        """Store what the training made."""
        self._end(job_id, {"state": "finished", "result": dict(result)})

    def fail(self, job_id: str, problem: Mapping[str, Any]) -> None:
        """Store why there is no result: ``status``, ``code``, ``title``, ``detail``."""
        self._end(job_id, {"state": "failed", "problem": dict(problem)})

    def get(self, job_id: str) -> Document | None:
        """Return one job, None if there is none; one that fell silent is marked as failed."""
        silent_since = {"$subtract": ["$$NOW", round(SILENT_S * 1000)]}
        silent = {"_id": job_id, "ended_at": None, "$expr": {"$lte": ["$heartbeat_at", silent_since]}}
        change = {"$set": {"state": "failed", "problem": KILLED}, "$currentDate": {"ended_at": True}}
        with translated():
            job = self._jobs.find_one_and_update(silent, change, return_document=ReturnDocument.AFTER)
            job = job or self._jobs.find_one({"_id": job_id})
        return None if job is None else {"id": job.pop("_id"), **job}

    def list(self, model: str, limit: int) -> Documents:
        """Return the newest jobs of a model without the metrics of what they made, newest first."""
        with translated():
            found = list(self._jobs.find({"model": model}, HEAD).sort("created_at", -1).limit(limit))
        return [{"id": job.pop("_id"), **job} for job in found]

    def _end(self, job_id: str, fields: Document) -> None:
        change = {"$set": fields, "$currentDate": {"ended_at": True}}
        with translated():
            self._jobs.update_one({"_id": job_id, "ended_at": None}, change)
