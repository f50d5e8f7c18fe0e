"""What every policy looks at and what it answers: streams of windows, and the evidence found in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.policy import Timeline
from model.monitoring.reference import FeatureReference
from model.monitoring.results import Check, Place

Shape = Literal["number", "category", "rate"]


@dataclass(frozen=True, slots=True)
class Span:
    """A window of successive periods: its length, and how many periods ago it ended."""

    n_periods: int
    n_ago: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One question: has this distribution, or this rate, changed in any of these windows?

    ``reference`` has shape (n_cells,), ``windows`` (n_spans, n_cells). A rate has two cells, the rows that
    have the property and those that do not. ``delta`` is the size that matters.
    """

    feature: FeatureReference
    check: Check
    shape: Shape
    reference: Ints
    windows: Ints
    spans: Sequence[Span]
    delta: float

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


def summed_windows(feature: FeatureReference, timeline: Timeline, spans: Sequence[Span]) -> Ints:
    """Add up the periods of each span; shape (n_spans, n_values + 2), missing and faulty rows last."""
    needed = {0, *(span.n_ago for span in spans), *(span.n_ago + span.n_periods for span in spans)}
    running = np.zeros(feature.cells.n_values + 2, dtype=np.int64)
    sums = {0: running.copy()}
    # One pass from the newest period to the oldest; a span is the difference of two running sums.
    for back, period in enumerate(reversed(timeline.periods), start=1):
        running += period.parts[feature.name].values
        if back in needed:
            sums[back] = running.copy()
    return np.stack(
        [sums.get(span.n_ago + span.n_periods, running) - sums.get(span.n_ago, running) for span in spans]
    )


def feature_stream(feature: FeatureReference, windows: Ints, spans: Sequence[Span], delta: float) -> Stream:
    """Return the stream of a feature's values; missing and faulty rows are left to rates."""
    shape: Shape = "category" if feature.kind == "category" else "number"
    values = windows[:, : feature.cells.n_values]
    return Stream(feature, "distribution", shape, feature.values(feature.counts), values, spans, delta)
