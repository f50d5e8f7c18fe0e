"""Experiments: which candidates were tried for a model, and how good each was."""

from collections.abc import Mapping
from typing import Any

from utils.mongo.connection import Database, Documents, translated


class ExperimentStore:
    """Collection ``experiments``.

    A document has ``model``, ``experiment`` (its name), ``at``, ``metric``, ``n_rows``, ``folder`` and
    ``candidates``, the best first.
    """

    def __init__(self, db: Database) -> None:
        self._experiments = db["experiments"]

    def add(self, found: Mapping[str, Any]) -> None:
        """Keep an experiment; one of the same model and name is replaced."""
        name = f"{found['model']}/{found['experiment']}"
        with translated():
            self._experiments.replace_one({"_id": name}, dict(found), upsert=True)

    def list(self, model: str, limit: int) -> Documents:
        """Return the experiments of a model, newest first."""
        with translated():
            return list(self._experiments.find({"model": model}, {"_id": 0}).sort("at", -1).limit(limit))
