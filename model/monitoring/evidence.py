"""What every policy looks at and what it answers: streams of counts, and the evidence found in one."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.policy import Timeline
from model.monitoring.reference import FeatureReference
from model.monitoring.results import Check

Shape = Literal["number", "category", "rate"]


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One question asked of every period: has this distribution, or this rate, changed?

    ``reference`` has shape (n_cells,), ``periods`` (n_periods, n_cells), the newest last. A rate has two
    cells, the rows that have the property and those that do not. ``delta`` is the size that matters.
    """

    feature: FeatureReference
    check: Check
    shape: Shape
    reference: Ints
    periods: Ints
    delta: float

    @property
    def m(self) -> int:
        """Rows of the reference."""
        return int(self.reference.sum())

    def window(self, n_periods: int) -> Ints:
        """Add up the newest ``n_periods`` periods."""
        summed: Ints = self.periods[-n_periods:].sum(axis=0)
        return summed


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What speaks for a change in one stream, measured in the window that says most."""

    statistic_name: str
    statistic: float | None
    threshold: float | None
    is_beyond: bool
    n_periods: int
    window: Ints
    threshold_on: Literal["statistic", "p_value"] = "statistic"

    @property
    def n(self) -> int:
        """Rows of the window."""
        return int(self.window.sum())


def feature_stream(feature: FeatureReference, timeline: Timeline, delta: float) -> Stream:
    """Return the stream of a feature's values; missing and faulty rows are left to rates."""
    shape: Shape = "category" if feature.kind == "category" else "number"
    periods = np.stack([feature.values(period.parts[feature.name]) for period in timeline.periods])
    return Stream(feature, "distribution", shape, feature.values(feature.counts), periods, delta)
