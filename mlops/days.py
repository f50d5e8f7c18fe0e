"""Whole days of the counted log, added up by the clock, so that pages of long windows read few documents.

A day's sum stands while the hours of that day have as many rows as were added up: rows only ever come to an
hour. Of days that are not kept, or not any more, the hours are read. Light: NumPy only.
"""

from collections import Counter as Counted
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from model.monitoring.cells import Counts
from model.monitoring.feature import FeatureReference
from model.monitoring.packing import unpack_rows
from model.monitoring.reference import ModelCounts, ModelReference
from utils.mongo.counts import Cell, CountStore, Parts
from utils.mongo.day_counts import DayStore

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS_KEPT = 90  # as far back as pages look
DAYS_AT_ONCE = 10  # of an old log, the rest next time

# Counts by the moment that they begin at: an hour or a day.
Spans = Sequence[tuple[datetime, Parts]]


@dataclass(frozen=True)
class Days:
    """Sums of days, made and read."""

    counts: CountStore
    kept: DayStore

    def add_up(self, model: str, version: str, reference: ModelReference, until: datetime) -> int:
        """Add up days before ``until`` that are missing or have got more rows; return how many were.

        The newest first, and not more than ten at once.
        """
        end = day_of(until)
        start = end - DAYS_KEPT * DAY
        rows = rows_by_day(self.counts.traffic(model, start, end), version)
        known = self.kept.rows(model, version, start, end)
        due = sorted((day for day, n_rows in rows.items() if known.get(day) != n_rows), reverse=True)
        for day in due[:DAYS_AT_ONCE]:
            hours = sorted(self.counts.hours(model, version, day, day + DAY).items())
            # Its rows as they are in these hours: more may have come since the look at the traffic.
            sums = total_of(reference, hours)
            self.kept.put(Cell(model, version, day), sums.n_rows, sums.to_parts())
        return len(due[:DAYS_AT_ONCE])

    def spans(
        self, model: str, version: str, start: datetime, end: datetime, traffic: Iterable[Mapping[str, Any]]
    ) -> Spans:
        """Return the counts of [start, end) by time: of whole days where their sum stands, else of hours.

        ``traffic`` has the rows of each hour of it as ``CountStore.traffic`` tells them.
        """
        first, last = day_of(start + DAY - HOUR), day_of(end)
        rows = rows_by_day(traffic, version)
        known = self.kept.rows(model, version, first, last)
        standing = {day for day, n_rows in known.items() if rows.get(day) == n_rows}
        days = self.kept.parts(model, version, first, last) if standing else {}
        found = {day: parts for day, parts in days.items() if day in standing}
        hours = [start + i * HOUR for i in range((end - start) // HOUR)]
        rest = [hour for hour in hours if not (first <= hour < last and day_of(hour) in standing)]
        return sorted((found | self.counts.hours_among(model, version, rest)).items())


def day_of(moment: datetime) -> datetime:
    """Return the start of the day, UTC, that ``moment`` is in."""
    return EPOCH + (moment - EPOCH) // DAY * DAY


def rows_by_day(traffic: Iterable[Mapping[str, Any]], version: str) -> Counted[datetime]:
    """Return the rows of each day of a version."""
    rows: Counted[datetime] = Counted()
    for hour in traffic:
        if hour["version"] == version:
            rows[day_of(hour["hour"])] += hour["n_rows"]
    return rows


def matrix_of(feature: FeatureReference, spans: Spans) -> Any:
    """Return the counts of one feature, a row an hour or day."""
    rows = [parts.get(feature.name) for _, parts in spans]
    return unpack_rows(rows, feature.cells.layout, feature.cells.n_counts)


def total_of(reference: ModelReference, spans: Spans) -> ModelCounts:
    """Add up feature by feature, so that never more than one is unpacked; without pairs and segments."""
    found = {}
    for name, feature in reference.features.items():
        values = matrix_of(feature, spans).sum(axis=0, dtype=np.int64)
        found[name] = Counts(values, feature.cells.layout)
    return ModelCounts(found)
