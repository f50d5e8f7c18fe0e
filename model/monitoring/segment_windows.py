"""Windows of segments: how far each feature is from training in each, for all segments at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.bounds import dkw_margin
from model.monitoring.budget import Budget
from model.monitoring.evidence import Span
from model.monitoring.segments import SegmentReference


@dataclass(frozen=True, eq=False)
class SegmentWindows:
    """Windows of all segments of one feature: counts of shape (n_spans, n_segments, width)."""

    reference: SegmentReference
    windows: Ints
    spans: Sequence[Span]

    def distances(self, name: str) -> tuple[Floats, Ints]:
        """Return D of one feature in each window and segment, and the rows; both (n_spans, n_segments).

        The supremum is over cells in their order, for categories too: Dvoretzky, Kiefer and Wolfowitz hold
        for any fixed order.
        """
        now = self._values(self.windows, name)
        before = self._values(self.reference.cells.shaped(self.reference.counts.values[np.newaxis]), name)
        n = now.sum(axis=2)
        gaps = _cumulative(now) - _cumulative(before)
        return np.where(n > 0, np.abs(gaps).max(axis=2), 0.0), n

    def rows_of_training(self, name: str) -> Ints:
        """Return the rows of each segment in training; shape (n_segments,)."""
        shaped = self.reference.cells.shaped(self.reference.counts.values[np.newaxis])
        return np.asarray(self._values(shaped, name)[0].sum(axis=1))

    def _values(self, counts: Ints, name: str) -> Ints:
        return counts[:, :, self.reference.cells.slices[name]][
            :, :, : self.reference.cells.cells[name].n_values
        ]


def _cumulative(counts: Ints) -> Floats:
    running = np.cumsum(counts, axis=2)
    return np.asarray(running / np.maximum(running[:, :, -1:], 1))


def thresholds(
    n: Ints, m: Ints, delta: float, budget: Budget, levels: Floats, design_effect: float
) -> Floats:
    """Return the D that is beyond delta and chance; (n_spans, n_segments).

    Parameters
    ----------
    n : ndarray of shape (n_spans, n_segments)
        Rows of each window.
    m : ndarray of shape (n_segments,)
        Rows in training.
    levels : ndarray of shape (n_spans,)
        What one window of one stream may spend.
    """
    limit = dkw_margin(np.maximum(m / design_effect, 1), budget.reference)
    noise = dkw_margin(np.maximum(n / design_effect, 1), levels[:, np.newaxis])
    return np.asarray(np.maximum(delta, limit) + noise)
