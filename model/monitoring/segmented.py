"""What is asked about segments: whether a feature moved in one of them though it did not as a whole, and in
which segments a feature that did moved most."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.budget import Budget
from model.monitoring.evidence import Evidence, Span, Stream, feature_stream, largest_gap, summed_windows
from model.monitoring.policy import Policy, Timeline
from model.monitoring.reference import ModelReference
from model.monitoring.results import FeatureDrift, Touched
from model.monitoring.segment_windows import SegmentWindows, thresholds
from model.monitoring.segments import SEGMENTS, SegmentReference

N_TOUCHED = 3


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One feature in one segment, and the window that says most about it."""

    windows: SegmentWindows
    feature: str
    segment: int
    row: int
    statistic: float
    threshold: float
    strength: float

    @property
    def members(self) -> set[str]:
        """The features that this is about."""
        return {self.feature, self.windows.reference.cells.name}


def segment_windows(
    reference: ModelReference, timeline: Timeline, spans: Sequence[Span]
) -> list[SegmentWindows]:
    """Add up the counts of each segment over each span."""
    return [
        SegmentWindows(
            one, one.cells.shaped(summed_windows(timeline.stacked.parts[SEGMENTS + name], spans)), spans
        )
        for name, one in reference.segments.items()
    ]


def n_streams(windows: Iterable[SegmentWindows]) -> int:
    """Return how many features in segments are asked about."""
    cells = [one.reference.cells for one in windows]
    return sum(len(one.labels) * len(one.cells) for one in cells)


def candidates(
    windows: Iterable[SegmentWindows], policy: Policy, budget: Budget, levels: Floats
) -> list[Candidate]:
    """Return every feature in every segment with its strongest window, the strongest first."""
    found = [
        candidate
        for one in windows
        for name in one.reference.cells.cells
        for candidate in _of_feature(one, name, policy, budget, levels)
    ]
    return sorted(found, key=lambda candidate: -candidate.strength)


def _of_feature(
    windows: SegmentWindows, name: str, policy: Policy, budget: Budget, levels: Floats
) -> list[Candidate]:
    found, n = windows.distances(name)
    m, effect = windows.rows_of_training(name), policy.design_effects.get(name, 1.0)
    limits = thresholds(n, m, policy.delta_of(name), budget, levels, effect)
    strengths = np.where(np.minimum(n, m) >= policy.min_rows, found / limits, 0.0)
    rows, segments = strengths.argmax(axis=0), np.arange(len(m))
    numbers = [one[rows, segments].tolist() for one in (found, limits, strengths)]
    return [
        Candidate(windows, name, segment, row, *values)
        for segment, row, *values in zip(segments.tolist(), rows.tolist(), *numbers, strict=True)
    ]


def evidence_of(candidate: Candidate, stream: Stream) -> Evidence:
    """Return what was found."""
    window = stream.windows[candidate.row]
    place = largest_gap(stream.reference, window) if stream.shape == "number" else None
    span = stream.spans[candidate.row]
    return Evidence("ks", candidate.statistic, candidate.threshold, candidate.strength, span, window, place)


def segment_stream(
    reference: ModelReference, windows: SegmentWindows, name: str, segment: int, delta: float
) -> Stream:
    """Return the stream of a feature within a segment."""
    one = windows.reference
    cells = one.cells
    where = f"{name} where {cells.name} is {cells.labels[segment]}"
    inner = replace(one.feature_in(reference.features[name], segment), name=where)
    counts = windows.windows[:, segment, cells.slices[name]]
    stream = feature_stream(inner, counts, windows.spans, delta)
    read = partial(_read, one, name, segment, inner.cells.n_values)
    return replace(stream, role="segment", part=SEGMENTS + cells.name, read=read)


def _read(reference: SegmentReference, name: str, segment: int, n_values: int, counts: Ints) -> Ints:
    cells = reference.cells
    return cells.shaped(counts)[:, segment, cells.slices[name]][:, :n_values]


def touched(windows: Sequence[SegmentWindows], check: FeatureDrift, min_rows: int) -> tuple[Touched, ...]:
    """Return the segments in which a feature moved most over the window that decided, the largest first."""
    found: list[Touched] = []
    for one in windows:
        row = next((i for i, span in enumerate(one.spans) if _is_span(span, check)), None)
        if row is not None and check.feature in one.reference.cells.cells:
            distances, n = one.distances(check.feature)
            found += [
                Touched(one.reference.label(segment), float(distances[row, segment]), int(n[row, segment]))
                for segment in np.flatnonzero(n[row] >= min_rows).tolist()
            ]
    return tuple(sorted(found, key=lambda one: -one.effect)[:N_TOUCHED])


def _is_span(span: Span, check: FeatureDrift) -> bool:
    return (span.n_periods, span.n_ago) == (check.n_periods, check.n_periods_ago)
