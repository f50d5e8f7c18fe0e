"""What pages show of the counted log: any two windows side by side, and how far features moved hour by hour.

Reads counts of hours and days, never rows, and writes nothing. Light: NumPy only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from mlops.days import DAY, HOUR, Days, Spans, matrix_of, total_of
from mlops.drift_policy import policy_of
from model.monitoring.feature import FeatureReference
from model.monitoring.reference import ModelCounts, ModelReference
from model.monitoring.results import FeatureDrift
from model.monitoring.shapes import shapes
from model.monitoring.windows import Comparison, compare_windows, cumulated, effect_of
from model.spec import Spec
from utils.mongo.counts import CountStore

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REFERENCES_IN_MEMORY = 8
# From so many hours of a window on, a bucket of its heat map is so many hours long.
MIN_SHOWN = 30  # of fewer rows the effect is mostly chance
BUCKETS = ((60 * 24, 72), (20 * 24, 24), (9 * 24, 12), (4 * 24, 6), (36, 3), (0, 1))


@dataclass(frozen=True)
class Window:
    """Whole hours: ``start`` included, ``end`` not."""

    start: datetime
    end: datetime

    @property
    def n_hours(self) -> int:
        """Length in hours."""
        return (self.end - self.start) // HOUR

    def before(self) -> "Window":
        """Return the window of the same length that ends where this one begins."""
        return Window(self.start - (self.end - self.start), self.start)


@dataclass(frozen=True)
class SideBySide:
    """Two windows of one version and what differs; ``against`` is None where it is training."""

    version: str
    window: Window
    against: Window | None
    reference: ModelReference
    current: ModelCounts
    comparison: Comparison

    def shape(self, label: str) -> dict[str, Any]:
        """Return how one feature is distributed on both sides; see ``shapes``."""
        feature = self._named(label)
        return shapes(ModelReference({feature.name: feature}), self.current)[0]

    def curve(self, label: str) -> list[dict[str, Any]]:
        """Return the cumulative distributions of one feature; see ``cumulated``."""
        feature = self._named(label)
        return cumulated(feature, feature.values(self.current.parts[feature.name]))

    def _named(self, label: str) -> FeatureReference:
        return next(one for one in self.reference.features.values() if one.label == label)


@dataclass(frozen=True)
class HeatMap:
    """How far each feature was from training in each bucket of time; None where there were no rows.

    ``starts`` has the start of each bucket, ``versions`` who answered most of it, ``n_rows`` its rows.
    """

    bucket: timedelta
    starts: Sequence[datetime]
    versions: Sequence[str | None]
    n_rows: Sequence[int]
    effects: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Look:
    """What a page shows of a window."""

    sides: SideBySide
    heat: HeatMap


class Windows:
    """Compares windows; ``part`` returns the verified bytes of a part of a version."""

    def __init__(self, counts: CountStore, days: Days, part: Callable[[str, str, str], bytes]) -> None:
        self._counts = counts
        self._days = days
        self._part = part
        self.reference = lru_cache(REFERENCES_IN_MEMORY)(self._reference)

    def _reference(self, model: str, version: str) -> ModelReference:
        return ModelReference.from_bytes(self._part(model, version, "reference.bin"))

    def versions(self, model: str, window: Window) -> dict[str, int]:
        """Return the counted rows of each version in a window, the version with most of them first."""
        rows: dict[str, int] = {}
        for hour in self._counts.traffic(model, window.start, window.end):
            rows[hour["version"]] = rows.get(hour["version"], 0) + hour["n_rows"]
        return dict(sorted(rows.items(), key=lambda pair: -pair[1]))

    def look(
        self, spec: Spec, version: str, window: Window, against: Window | None, n_shown: int | None = None
    ) -> Look:
        """Compare a window of a version with its training or with another window, and show when it moved.

        The heat map has the ``n_shown`` features that differ most, or all. Raises NotFoundError or
        IntegrityError if a version, or what it knows of training, is not there.
        """
        traffic = self._counts.traffic(spec.name, window.start, window.end)
        heat = _Heat.of(window, traffic)
        stored = {one: self._spans(spec.name, one, window, traffic) for one in {version, *heat.answering()}}
        learnt = self.reference(spec.name, version)
        current = total_of(learnt, stored[version])
        reference = learnt if against is None else self._rebased(spec.name, version, against)
        policy = replace(policy_of(spec, "on_demand"), name="holm")
        found = compare_windows(reference, current, policy)
        shown = {one.feature for one in ranked(found)[:n_shown]}
        for one, spans in stored.items():
            for feature in self.reference(spec.name, one).features.values():
                if feature.label in shown:
                    heat.add(feature, one, [start for start, _ in spans], matrix_of(feature, spans))
        return Look(SideBySide(version, window, against, reference, current, found), heat.map())

    def _rebased(self, model: str, version: str, window: Window) -> ModelReference:
        learnt = ModelReference(self.reference(model, version).features)
        traffic = self._counts.traffic(model, window.start, window.end)
        return learnt.rebased(total_of(learnt, self._spans(model, version, window, traffic)))

    def _spans(self, model: str, version: str, window: Window, traffic: Sequence[Mapping[str, Any]]) -> Spans:
        if bucket_of(window) < DAY:
            return sorted(self._counts.hours(model, version, window.start, window.end).items())
        return self._days.spans(model, version, window.start, window.end, traffic)


def ranked(found: Comparison) -> list[FeatureDrift]:
    """Return features and outputs by effect; what a window says little about comes last."""
    return sorted(found.features, key=lambda one: (one.verdict == "insufficient_data", -(one.effect or 0)))


@dataclass
class _Heat:
    """A heat map under way."""

    bucket: timedelta
    starts: list[datetime]
    rows: list[dict[str, int]]
    effects: dict[str, list[float | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, window: Window, traffic: Iterable[Mapping[str, Any]]) -> "_Heat":
        bucket = bucket_of(window)
        first = start_of(window.start, bucket)
        starts = [first + i * bucket for i in range(-(-(window.end - first) // bucket))]
        heat = cls(bucket, starts, [{} for _ in starts])
        for hour in traffic:
            rows = heat.rows[heat.place(hour["hour"])]
            rows[hour["version"]] = rows.get(hour["version"], 0) + hour["n_rows"]
        return heat

    def place(self, hour: datetime) -> int:
        return (hour - self.starts[0]) // self.bucket

    def version(self, place: int) -> str | None:
        """Return who answered most of a bucket."""
        rows = self.rows[place]
        return max(rows, key=rows.__getitem__) if rows else None

    def answering(self) -> set[str]:
        return {one for i in range(len(self.starts)) if (one := self.version(i)) is not None}

    def add(self, feature: FeatureReference, version: str, starts: Sequence[datetime], matrix: Any) -> None:
        """Set the effects of a feature where a version answered most; ``matrix`` has a row a start."""
        if not starts:
            return
        row = self.effects.setdefault(feature.label, [None] * len(self.starts))
        places = np.array([self.place(start) for start in starts])
        shown, firsts = np.unique(places, return_index=True)
        sums = np.add.reduceat(matrix[:, : feature.cells.n_values], firsts, axis=0, dtype=np.int64)
        for place, values in zip(shown.tolist(), sums, strict=True):
            if self.version(place) == version and values.sum() >= MIN_SHOWN:
                row[place] = effect_of(feature, values)

    def map(self) -> HeatMap:
        versions = [self.version(i) for i in range(len(self.starts))]
        return HeatMap(
            self.bucket, self.starts, versions, [sum(one.values()) for one in self.rows], self.effects
        )


def bucket_of(window: Window) -> timedelta:
    """Return how long a bucket of a window's heat map is.

    >>> day = Window(EPOCH, EPOCH + 24 * HOUR)
    >>> bucket_of(day), bucket_of(Window(EPOCH, EPOCH + 30 * 24 * HOUR))
    (datetime.timedelta(seconds=3600), datetime.timedelta(days=1))
    """
    return next(timedelta(hours=hours) for least, hours in BUCKETS if window.n_hours >= least)


def start_of(moment: datetime, bucket: timedelta) -> datetime:
    """Return the start of the bucket that a moment is in; buckets are counted from 1970."""
    return EPOCH + (moment - EPOCH) // bucket * bucket
