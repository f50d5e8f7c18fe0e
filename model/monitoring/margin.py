"""The default policy: an alarm only if a change is larger than its practical size and all that chance can do.

A month has a fixed family of windows (``ladder``), and every window of every stream has its part of the
budget (``budget``), so that a union bound gives: with nothing changed, the chance of any false alarm in a
month is at most alpha; while no share or distribution is farther than delta from the training sample, too.
Proof and gains over the first version: ``docs/drift-proof.md``.

Two tests look at each window (a third, for rates, is in ``rates``):

``BulkTest``
    The KS distance D of a number, against the practical size and the Dvoretzky-Kiefer-Wolfowitz margin.
``ShareTest``
    Shares (of categories, of a rate, or below cuts in a number's tails) against binomial tails, which are
    much shorter than the former where a share is near 0 or 1.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.bounds import (
    binomial_z,
    dkw_margin,
    normal_z,
    share_beyond,
    share_limits,
    two_sample_margin,
)
from model.monitoring.budget import Budget
from model.monitoring.evidence import Evidence, Stream, largest_gap
from model.monitoring.results import Place

_TAILS = (0.01, 0.02, 0.05, 0.1, 0.9, 0.95, 0.98, 0.99)
_FEW_VALUES = 12
_TAIL_PART, _FEW_PART = 0.25, 0.5


class Test(Protocol):
    """Something that looks at windows of one stream and may spend a level on each."""

    def strengths(self, windows: Ints, n: Floats, levels: Floats) -> Floats:
        """Return one number a window and place, above 1 if beyond; shape (n_windows, n_places)."""

    def evidence(self, stream: Stream, row: int, place: int, n: float, level: float) -> Evidence:
        """Say what was found in one window."""


@dataclass(frozen=True, slots=True, eq=False)
class BulkTest:
    """KS distance of a number.

    ``cumulative`` are the reference's cumulative shares, shape (n_cells,), of ``m`` rows; ``limit`` is how
    far they may be from the truth.
    """

    cumulative: Floats
    m: float
    delta: float
    limit: float
    part: float

    def thresholds(self, n: Floats, levels: Floats) -> Floats:
        """Return for windows of n rows the D that is beyond delta and chance; shape of ``n``."""
        noise = dkw_margin(np.maximum(n, 1), levels * self.part)
        if self.limit <= self.delta:
            return np.asarray(self.delta + noise)
        pairs = zip(np.maximum(n, 1).tolist(), (levels * self.part).tolist(), strict=True)
        pooled = np.array([two_sample_margin(one, self.m, level) for one, level in pairs])
        known = np.minimum(self.limit + noise, pooled)
        return np.asarray(np.maximum(self.delta + noise, known), dtype=np.float64)

    def distances(self, windows: Ints) -> Floats:
        """Return D of each window; 0 for an empty one."""
        cumulative = np.cumsum(windows, axis=1)
        gaps = np.abs(cumulative / np.maximum(cumulative[:, -1:], 1) - self.cumulative).max(axis=1)
        return np.asarray(np.where(cumulative[:, -1] > 0, gaps, 0.0), dtype=np.float64)

    def strengths(self, windows: Ints, n: Floats, levels: Floats) -> Floats:
        """Return D as a multiple of its threshold; shape (n_windows, 1)."""
        ratios = self.distances(windows) / self.thresholds(n, levels)
        return np.asarray(ratios[:, np.newaxis], dtype=np.float64)

    def evidence(self, stream: Stream, row: int, place: int, n: float, level: float) -> Evidence:
        """Say what was found in one window."""
        window = stream.windows[row]
        statistic = float(self.distances(window[np.newaxis])[place])
        threshold = float(self.thresholds(np.array([n]), np.array([level]))[0])
        where = largest_gap(stream.reference, window)
        return Evidence("ks", statistic, threshold, statistic / threshold, stream.spans[row], window, where)


@dataclass(frozen=True, slots=True, eq=False)
class ShareTest:
    """Shares of rows, each on both sides.

    ``share``, ``up`` and ``down`` have shape (n_places,): the reference's share, and how high or low the true
    one may be before it matters. ``cells`` says where the share is read: in these cells or, if
    ``is_cumulative``, in all cells up to them.
    """

    name: str
    cells: Ints
    is_cumulative: bool
    share: Floats
    up: Floats
    down: Floats
    part: float

    def strengths(self, windows: Ints, n: Floats, levels: Floats) -> Floats:
        """Return deviations as multiples of what is needed; shape (n_windows, n_places)."""
        counted = np.cumsum(windows, axis=1) if self.is_cumulative else windows
        rows = np.maximum(windows.sum(axis=1, keepdims=True), 1)
        k = counted[:, self.cells] / rows * n[:, np.newaxis]
        above = binomial_z(k, n[:, np.newaxis], self.up)
        below = binomial_z(n[:, np.newaxis] - k, n[:, np.newaxis], 1 - self.down)
        return np.asarray(np.maximum(above, below) / self._z(levels)[:, np.newaxis])

    def evidence(self, stream: Stream, row: int, place: int, n: float, level: float) -> Evidence:
        """Say what was found in one window."""
        window = stream.windows[row]
        cell, z = int(self.cells[place]), float(self._z(np.array([level]))[0])
        n_there = window[: cell + 1].sum() if self.is_cumulative else window[cell]
        share = float(n_there) / max(1, int(window.sum()))
        before = float(self.share[place])
        strength = float(self.strengths(window[np.newaxis], np.array([n]), np.array([level]))[0, place])
        is_up = share >= before
        threshold = abs(self._limit(place, n, z, is_up) - before)
        where = Place(cell, self.is_cumulative, is_up)
        return Evidence(self.name, abs(share - before), threshold, strength, stream.spans[row], window, where)

    def _limit(self, place: int, n: float, z: float, is_up: bool) -> float:
        if is_up:
            return float(share_beyond(self.up[place], n, z))
        return 1 - float(share_beyond(1 - self.down[place], n, z))

    def _z(self, levels: Floats) -> Floats:
        return normal_z(levels * self.part / (2 * len(self.cells)))


def margin_evidence(stream: Stream, budget: Budget, levels: Floats, design_effect: float = 1.0) -> Evidence:
    """Return the strongest evidence in any window of a stream.

    Parameters
    ----------
    levels : ndarray of shape (n_spans,)
        Chance of a false alarm that each window may take.
    design_effect : float, at least 1
        How many rows tell as much as one independent row.
    """
    n = stream.windows.sum(axis=1) / design_effect
    tests = tests_of(stream, budget, design_effect)
    if not tests or not n.any():
        return Evidence("none", None, None, 0.0, stream.spans[0], stream.windows[0])
    found = [_strongest(test, stream, n, levels) for test in tests]
    # The first test gives the statistic that people know; another speaks up only if it alone has an alarm.
    return next((one for one in found if one.is_beyond), found[0])


def _strongest(test: Test, stream: Stream, n: Floats, levels: Floats) -> Evidence:
    strengths = test.strengths(stream.windows, n, levels)
    row, place = np.unravel_index(int(strengths.argmax()), strengths.shape)
    return test.evidence(stream, int(row), int(place), float(n[row]), float(levels[row]))


def tests_of(stream: Stream, budget: Budget, design_effect: float = 1.0) -> list[Test]:
    """Return what is asked of a stream: none if the reference has no rows."""
    m = stream.m / design_effect
    if not stream.m:
        return []
    if stream.shape == "number":
        return _number_tests(stream, m, budget)
    return [_category_test(stream, m, budget, design_effect)]


def _number_tests(stream: Stream, m: float, budget: Budget) -> list[Test]:
    cumulative = np.cumsum(stream.reference) / stream.m
    limit = float(dkw_margin(m, budget.reference))
    cells, part = _cuts(stream.reference)
    if not len(cells):
        return [BulkTest(cumulative, m, stream.delta, limit, 1.0)]
    size, share = max(stream.delta, limit), cumulative[cells]
    tails = ShareTest("tail_share", cells, True, share, share + size, share - size, part)
    return [BulkTest(cumulative, m, stream.delta, limit, 1.0 - part), tails]


def _cuts(reference: Ints) -> tuple[Ints, float]:
    # All cuts between few distinct values; otherwise cuts in the tails, where DKW is loose.
    cells = np.flatnonzero(reference)
    if len(cells) <= _FEW_VALUES:
        return cells[:-1], _FEW_PART
    targets = np.asarray(_TAILS) * reference.sum()
    return np.unique(np.cumsum(reference).searchsorted(targets)), _TAIL_PART


def _category_test(stream: Stream, m: float, budget: Budget, design_effect: float) -> ShareTest:
    cells = np.arange(len(stream.reference))
    share = stream.reference / stream.m
    known, rows = share * m, np.full(len(cells), m)
    for cell, (k, n) in stream.limits.items():
        known[cell], rows[cell] = k / design_effect, n / design_effect
    low, high = share_limits(known, rows, budget.reference / (2 * len(cells)))
    up, down = np.maximum(share + stream.delta, high), np.minimum(share - stream.delta, low)
    return ShareTest("share_change", cells, False, share, np.minimum(up, 1.0), np.maximum(down, 0.0), 1.0)
