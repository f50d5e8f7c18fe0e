"""What pages show of the counted log: any two windows side by side, and how far features moved hour by hour.

Reads hourly counts, never rows, and writes nothing. Light: NumPy only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from mlops.drift_policy import policy_of
from model.monitoring.cells import Counts, total
from model.monitoring.reference import ModelCounts, ModelReference
from model.monitoring.shapes import shapes
from model.monitoring.windows import Comparison, compare_windows, cumulated, effect_of
from model.spec import Spec
from utils.mongo.counts import CountStore, Parts

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REFERENCES_IN_MEMORY = 8
# From so many hours of a window on, a bucket of its heat map is so many hours long.
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
    """Two windows of one version: what differs, how it is distributed, and where the reference comes from."""

    version: str
    window: Window
    against: Window | None
    comparison: Comparison
    shapes: Sequence[Mapping[str, Any]]
    curves: Mapping[str, Sequence[Mapping[str, Any]]]


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


class Windows:
    """Compares windows; ``part`` returns the verified bytes of a part of a version."""

    def __init__(self, counts: CountStore, part: Callable[[str, str, str], bytes]) -> None:
        self._counts = counts
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

    def side_by_side(self, spec: Spec, version: str, window: Window, against: Window | None) -> SideBySide:
        """Compare a window of a version with its training or with another window.

        Raises
        ------
        NotFoundError, IntegrityError
            If the version, or what it knows of training, is not there.
        """
        learnt = self.reference(spec.name, version)
        current = self._total(spec.name, version, learnt, window)
        reference = learnt if against is None else self._rebased(spec.name, version, learnt, against)
        policy = replace(policy_of(spec, "on_demand"), name="holm")
        curves = {
            one.label: cumulated(one, one.values(current.parts[name]))
            for name, one in reference.features.items()
        }
        return SideBySide(
            version,
            window,
            against,
            compare_windows(reference, current, policy),
            shapes(reference, current),
            curves,
        )

    def _rebased(self, model: str, version: str, learnt: ModelReference, window: Window) -> ModelReference:
        counts = self._total(model, version, learnt, window)
        without_pairs = ModelReference(learnt.features)
        return without_pairs.rebased(counts)

    def heat_map(self, model: str, window: Window) -> HeatMap:
        """Return how far features were from the training of the version that answered, bucket by bucket."""
        bucket = bucket_of(window)
        starts = _starts(window, bucket)
        rows = self._rows(model, window, bucket)
        versions = [max(rows[s], key=rows[s].__getitem__) if s in rows else None for s in starts]
        effects: dict[str, list[float | None]] = {}
        for version in sorted({one for one in versions if one is not None}):
            places = [i for i, one in enumerate(versions) if one == version]
            self._add_effects(effects, model, version, starts, places, bucket)
        n_rows = [sum(rows[s].values()) if s in rows else 0 for s in starts]
        return HeatMap(bucket, starts, versions, n_rows, effects)

    def _rows(self, model: str, window: Window, bucket: timedelta) -> dict[datetime, dict[str, int]]:
        found: dict[datetime, dict[str, int]] = {}
        for hour in self._counts.traffic(model, window.start, window.end):
            one = found.setdefault(start_of(hour["hour"], bucket), {})
            one[hour["version"]] = one.get(hour["version"], 0) + hour["n_rows"]
        return found

    def _add_effects(
        self,
        effects: dict[str, list[float | None]],
        model: str,
        version: str,
        starts: Sequence[datetime],
        places: Sequence[int],
        bucket: timedelta,
    ) -> None:
        reference = self.reference(model, version)
        end = starts[places[-1]] + bucket
        stored = self._counts.hours(model, version, starts[places[0]], end)
        by_bucket: dict[datetime, list[Parts]] = {}
        for hour, parts in stored.items():
            by_bucket.setdefault(start_of(hour, bucket), []).append(parts)
        for place in places:
            counts = counted(reference, by_bucket.get(starts[place], []))
            for name, feature in reference.features.items():
                row = effects.setdefault(feature.label, [None] * len(starts))
                row[place] = effect_of(feature, feature.values(counts.parts[name]))

    def _total(self, model: str, version: str, learnt: ModelReference, window: Window) -> ModelCounts:
        return counted(learnt, self._counts.hours(model, version, window.start, window.end).values())


def counted(reference: ModelReference, hours: Iterable[Parts]) -> ModelCounts:
    """Add up stored hours, without pairs: pages show none, and they are what takes longest."""
    listed = list(hours)
    return ModelCounts(
        {
            name: total(one.cells, [Counts.from_bytes(parts[name]) for parts in listed if name in parts])
            for name, one in reference.features.items()
        }
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


def _starts(window: Window, bucket: timedelta) -> list[datetime]:
    first = start_of(window.start, bucket)
    return [first + i * bucket for i in range(-(-(window.end - first) // bucket))]
