"""What every policy looks at and what it answers: streams of windows, and the evidence found in one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells
from model.monitoring.feature import FeatureReference
from model.monitoring.results import Check, Place, Role
from model.monitoring.stacked import Matrix

Shape = Literal["number", "category", "rate"]


@dataclass(frozen=True, slots=True)
class Span:
    """A window of successive periods: its length, and how many periods ago it ended."""

    n_periods: int
    n_ago: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One question: has this distribution, or this rate, changed in any of these windows?

    Parameters
    ----------
    label, role, check
        What is asked, of what.
    shape : "number", "category" or "rate"
        Number: cells are in order of value. Rate: the first of two cells has the rows with the property.
    reference : ndarray of shape (n_cells,)
    windows : ndarray of shape (n_spans, n_cells)
    delta : float
        Size that matters, in [0, 1).
    part, read
        Name of the counts, and how they become cells of this stream: (n, n_counts) to (n, n_cells).
    feature : FeatureReference, optional
        What the counts belong to; a pair has the names of two ``members`` instead.
    limits : mapping of cell to (k, m)
        Where the reference says less about a cell than its own count: k of m rows bound its true share.
    """

    label: str
    role: Role
    check: Check
    shape: Shape
    reference: Ints
    windows: Ints
    spans: Sequence[Span]
    delta: float
    part: str
    read: Callable[[Ints], Ints]
    feature: FeatureReference | None = None
    members: tuple[str, ...] = ()
    limits: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def m(self) -> int:
        """Rows of the reference."""
        return int(self.reference.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What speaks for a change in one stream, measured in the window that says most.

    ``strength`` is above 1 if the change is beyond its threshold, and orders what is not.
    """

    statistic_name: str
    statistic: float | None
    threshold: float | None
    strength: float
    span: Span
    window: Ints
    place: Place | None = None
    threshold_on: Literal["statistic", "p_value"] = "statistic"

    @property
    def n(self) -> int:
        """Rows of the window."""
        return int(self.window.sum())

    @property
    def is_beyond(self) -> bool:
        """Whether this is an alarm, rows permitting."""
        return self.strength > 1


def summed_windows(matrix: Matrix, spans: Sequence[Span]) -> Ints:
    """Add up one part's counts over the periods of each span; (n_periods, n_cells) to (n_spans, n_cells)."""
    n = len(matrix)
    ends = [n - span.n_ago for span in spans]
    starts = [max(0, end - span.n_periods) for end, span in zip(ends, spans, strict=True)]
    edges = sorted({0, *starts, *ends})
    # Each period is added once, in a run between two edges; a span is the difference of two running sums.
    runs = [matrix[low:high].sum(axis=0, dtype=np.int64) for low, high in pairwise(edges)]
    sums = np.cumsum([np.zeros(matrix.shape[1], dtype=np.int64), *runs], axis=0)
    place = {edge: number for number, edge in enumerate(edges)}
    return np.asarray(sums[[place[end] for end in ends]] - sums[[place[start] for start in starts]])


def largest_gap(reference: Ints, window: Ints) -> Place:
    """Return the place where the cumulative shares of a number differ most."""
    gaps = np.cumsum(window) / max(1, int(window.sum())) - np.cumsum(reference) / max(1, int(reference.sum()))
    cell = int(np.abs(gaps).argmax())
    return Place(cell, True, bool(gaps[cell] > 0))


def feature_stream(feature: FeatureReference, windows: Ints, spans: Sequence[Span], delta: float) -> Stream:
    """Return the stream of a feature's values; missing and faulty rows are left to rates."""
    is_category, n_values = isinstance(feature.cells, CategoryCells), feature.cells.n_values
    return Stream(
        label=feature.label,
        role="output" if feature.is_output else "feature",
        check="distribution",
        shape="category" if is_category else "number",
        reference=feature.values(feature.counts),
        windows=windows[:, :n_values],
        spans=spans,
        delta=delta,
        part=feature.name,
        read=lambda counts: counts[:, :n_values],
        feature=feature,
        limits={n_values - 1: feature.unseen_sample} if is_category else {},
    )
