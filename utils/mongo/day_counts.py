"""Cell counts of whole days by model version, added up from the hours for those who look at long windows.

A day is kept with the rows that its hours had: whoever knows how many they have now can tell whether it is
still their sum. What the counts mean is not known here.
"""

from datetime import datetime

from utils.mongo.connection import Database, translated
from utils.mongo.counts import Cell, Parts, pairs_of, parts_of


class DayStore:
    """Collection ``drift_days``: one document a model version and day, made anew at any time."""

    def __init__(self, db: Database) -> None:
        self._days = db["drift_days"]

    def put(self, cell: Cell, n_rows: int, parts: Parts) -> None:
        """Keep a day; ``cell.hour`` is its first hour."""
        fields = {"model": cell.model, "version": cell.version, "day": cell.hour, "n_rows": n_rows}
        with translated():
            self._days.replace_one({"_id": cell.key}, fields | {"parts": pairs_of(parts)}, upsert=True)

    def rows(self, model: str, version: str, start: datetime, end: datetime) -> dict[datetime, int]:
        """Return the rows of each kept day in [start, end)."""
        query = {"model": model, "version": version, "day": {"$gte": start, "$lt": end}}
        with translated():
            found = self._days.find(query, {"_id": 0, "day": 1, "n_rows": 1})
            return {one["day"]: int(one["n_rows"]) for one in found}

    def parts(self, model: str, version: str, start: datetime, end: datetime) -> dict[datetime, Parts]:
        """Return the counts of each kept day in [start, end)."""
        query = {"model": model, "version": version, "day": {"$gte": start, "$lt": end}}
        with translated():
            return {one["day"]: parts_of(one) for one in self._days.find(query)}
