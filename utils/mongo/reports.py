"""Drift, quality and shadow reports: one for each model, window and kind, however many clocks made it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pymongo.errors import DuplicateKeyError

from utils.mongo.connection import Database, Document, Documents, translated
from utils.mongo.shape import FIELD, STAMP

WITHOUT_ID = {"_id": 0, FIELD: 0}
# Of each check only its figures: a report with its words and shapes is fifty times as large.
OF_CHECK = ("feature", "check", "statistic_name", "statistic", "threshold", "p_value", "effect", "n", "drift")
FIGURES = {
    "_id": 0,
    **dict.fromkeys(("version", "checked_at", "window_end", "n_rows", "verdict", "drift"), 1),
    **{f"{part}.{name}": 1 for part in ("features", "quality") for name in OF_CHECK},
}
Collection = Literal["drift_reports", "quality_reports", "shadow_reports"]

# What a page says of many checks at once.
HEAD = {
    "_id": 0,
    **dict.fromkeys(("kind", "version", "checked_at", "window_start", "window_end", "n_rows"), 1),
    **dict.fromkeys(("verdict", "drift", "drifted"), 1),
}
WITHOUT_SHAPES = {**WITHOUT_ID, "shapes": 0}


class ReportStore:
    """Collection ``drift_reports``, ``quality_reports`` or ``shadow_reports``.

    A report is a dict with at least ``model``, ``window_end`` and ``kind`` (what asked for it, for example
    ``scheduled``); the three together name it.
    """

    def __init__(self, db: Database, collection: Collection) -> None:
        self._reports = db[collection]

    def add(self, report: Mapping[str, Any]) -> bool:
        """Store ``report`` unless there is one of its name; return whether it was stored."""
        try:
            with translated():
                self._reports.insert_one({"_id": _name(report), **report, **STAMP})
        except DuplicateKeyError:
            return False
        return True

    def replace(self, report: Mapping[str, Any]) -> None:
        """Store ``report`` in place of the one of its name, as when late labels change an old window."""
        with translated():
            self._reports.replace_one({"_id": _name(report)}, {**report, **STAMP}, upsert=True)

    def latest(self, model: str, kind: str | None = None) -> Document | None:
        """Return the report with the newest window, None if there is none."""
        return next(iter(self.list(model, 1, kind=kind)), None)

    def newest(self, model: str) -> Document | None:
        """Return the newest drift report without its shapes, None if there is none."""
        with translated():
            return self._reports.find_one({"model": model}, WITHOUT_SHAPES, sort=[("window_end", -1)])

    def heads(self, model: str, start: datetime, end: datetime) -> Documents:
        """Return what drift checks of [start, end) said in a word, oldest first."""
        query = {"model": model, "window_end": {"$gte": start, "$lt": end}}
        with translated():
            return list(self._reports.find(query, HEAD).sort("window_end", 1))

    def newest_figures(self, model: str, kind: str) -> Document | None:
        """Return the numbers of the newest drift report, without words and shapes; None if there is none."""
        query = {"model": model, "kind": kind}
        with translated():
            return self._reports.find_one(query, FIGURES, sort=[("window_end", -1)])

    def list(
        self, model: str, limit: int, *, kind: str | None = None, before: datetime | None = None
    ) -> Documents:
        """Return up to ``limit`` reports, newest first, of windows that ended before ``before``."""
        query: Document = {"model": model}
        query |= {} if kind is None else {"kind": kind}
        query |= {} if before is None else {"window_end": {"$lt": before}}
        with translated():
            return list(self._reports.find(query, WITHOUT_ID).sort("window_end", -1).limit(limit))

    def window(self, model: str, start: datetime, end: datetime) -> Documents:
        """Return the reports of windows that ended in [start, end), oldest first."""
        query = {"model": model, "window_end": {"$gte": start, "$lt": end}}
        with translated():
            return list(self._reports.find(query, WITHOUT_ID).sort("window_end", 1))


def _name(report: Mapping[str, Any]) -> str:
    return f"{report['model']}/{report['kind']}/{report['window_end'].isoformat()}"
