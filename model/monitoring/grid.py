"""Counting many numbers into cells without sorting them: a fine even grid first, then care near the borders.

A grid of 65,536 equal steps over the borders' range is found by arithmetic alone. A step without a border
lies within one open cell, so its values are counted by the step; only values in steps that hold a border are
compared with it. Rounding does no harm, as every operation keeps the order of values.
"""

import math
from dataclasses import dataclass

import numpy as np

from model.monitoring.arrays import Floats, Ints

_N_STEPS = 65_536
_CHUNK = 65_536  # values at a time: what stays in the second-level cache
_WORTH_FROM = 16_384  # below, sorting is as fast
_MOSTLY = 0.25  # more values than this near borders, and sorting is faster


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Even steps over the range of some borders.

    ``first`` are the steps, distinct and ascending, that hold borders, ``cells`` the open cells above them.
    """

    low: float
    scale: float
    is_near: np.ndarray
    first: Ints
    cells: Ints

    @staticmethod
    def over(borders: Floats) -> "Grid | None":
        """Return the grid, or None where an even one makes no sense: one value, a vast or a tiny range."""
        # A few borders at both ends are far out; steps over them would be wide. What lies there is compared.
        skipped = len(borders) // 64
        with np.errstate(over="ignore"):
            span = float(borders[-1 - skipped] - borders[skipped]) if len(borders) > 1 else 0.0
        scale = (_N_STEPS - 1) / span if span > 0 else math.inf
        if not math.isfinite(scale) or not math.isfinite(span) or scale == 0:
            return None
        low = float(borders[skipped])
        steps = _steps(borders, low, scale)
        first = np.unique(steps)
        is_near = np.zeros(_N_STEPS, dtype=np.bool_)
        is_near[first] = True
        return Grid(low, scale, is_near, first, 2 * steps.searchsorted(first, "right") + 1)

    def split(self, values: Floats) -> tuple[Ints, Ints, Floats]:
        """Count what is clear of borders: return cells, rows in each, and the values left to compare."""
        n_each = np.zeros(_N_STEPS, dtype=np.int64)
        near = []
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            steps = _steps(chunk, self.low, self.scale)
            n_each += np.bincount(steps, minlength=_N_STEPS)
            near.append(chunk[self.is_near.take(steps)])
            if not start and len(near[0]) > _MOSTLY * len(chunk):
                return self.cells, np.zeros(len(self.cells), dtype=np.int64), values
        n_each[self.first] = 0
        return self.cells, np.add.reduceat(n_each, self.first), np.concatenate(near)


def is_worth_it(n_values: int) -> bool:
    """Say whether so many values are counted faster by a grid."""
    return n_values >= _WORTH_FROM


def _steps(values: Floats, low: float, scale: float) -> Ints:
    with np.errstate(over="ignore"):
        scaled = values - low
        scaled *= scale
    np.clip(scaled, 0, _N_STEPS - 1, out=scaled)
    return scaled.astype(np.int64)
