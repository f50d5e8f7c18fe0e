"""Distances between two windows, from their counts alone.

Every function takes two integer vectors of the same cells: ``reference`` and ``current``, in order of value
for numbers, in any order for categories, without missing and faulty rows. What is undefined (an empty window)
is ``None``; NaN and infinity never leave this module.

Which of them is enough for an alarm is not decided here but in ``decision``.
"""

import math
from dataclasses import dataclass

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.tails import chi_square_tail, kolmogorov_tail

ASYMPTOTIC_FROM = 200
_EXACT_UP_TO = 10_000  # as scipy.stats.ks_2samp has it
_MIN_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number known only to lie in [low, high]; ``is_exact`` when both are the same."""

    low: float
    high: float | None

    @property
    def is_exact(self) -> bool:
        """Whether nothing is left open."""
        return self.high is not None and math.isclose(self.low, self.high, rel_tol=1e-9, abs_tol=1e-12)


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """A chi-square statistic, its degrees of freedom, and the chance of a larger one."""

    statistic: float
    freedom: int
    p_value: float


def ks_distance(reference: Ints, current: Ints) -> float | None:
    """Two-sample Kolmogorov-Smirnov distance D, in [0, 1].

    Exact where the reference's values are the borders; otherwise at most ``ks_error`` below the true one.
    Smirnov, "Table for estimating the goodness of fit of empirical distributions", Ann. Math. Stat. 19
    (1948).

    >>> ks_distance(np.array([5, 5]), np.array([0, 10]))
    0.5
    """
    n_reference, n_current = int(reference.sum()), int(current.sum())
    if not n_reference or not n_current:
        return None
    gaps = np.cumsum(current) / n_current - np.cumsum(reference) / n_reference
    return float(np.abs(gaps).max())


def ks_error(reference: Ints) -> float:
    """Largest amount by which thinning can have lowered D: the most reference mass strictly inside a cell.

    ``reference`` has the layout of ``NumberCells``, whose odd cells are the open ones.
    """
    n_reference = int(reference.sum())
    return float(reference[1:-1:2].max(initial=0) / n_reference) if n_reference else 0.0


def ks_p_value(reference: Ints, current: Ints) -> float | None:
    """Chance of a D at least this large if both windows had one distribution.

    Asymptotic from 200 rows on, exact below (while the reference has at most 10,000 rows), else the
    one-sample law at the effective size n m / (n + m). Hodges, "The significance probability of the Smirnov
    two-sample test", Arkiv foer Matematik 3 (1958).
    """
    distance = ks_distance(reference, current)
    if distance is None:
        return None
    n, m = int(current.sum()), int(reference.sum())
    effective = n * m / (n + m)
    if min(n, m) >= ASYMPTOTIC_FROM:
        return kolmogorov_tail(math.sqrt(effective) * distance)
    if max(n, m) <= _EXACT_UP_TO:
        return _exact_ks_p_value(reference, current)
    from scipy import stats  # takes half a second to import and is seldom needed

    return float(np.clip(stats.kstwo.sf(distance, max(1, round(effective))), 0.0, 1.0))


def _exact_ks_p_value(reference: Ints, current: Ints) -> float:
    # All orders of the two samples are equally likely; those that never reach the distance found are counted
    # as lattice paths that stay inside a band (Hodges 1958). Rows are scaled, as the counts are astronomical.
    m, n = int(reference.sum()), int(current.sum())
    reached = int(np.abs(np.cumsum(current) * m - np.cumsum(reference) * n).max())
    if not reached:
        return 1.0
    steps = np.arange(m + 1) * n
    paths, logarithm = (steps < reached).astype(np.float64), 0.0
    for row in range(1, n + 1):
        is_inside = np.abs(steps - row * m) < reached
        paths = np.cumsum(paths * is_inside) * is_inside
        largest = float(paths.max())
        if not largest:
            return 1.0
        paths, logarithm = paths / largest, logarithm + math.log(largest)
    total = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
    inside = math.exp(logarithm + math.log(paths[-1]) - total) if paths[-1] > 0 else 0.0
    return min(1.0, max(0.0, 1.0 - inside))


def chi_square(reference: Ints, current: Ints, *, min_expected: float = _MIN_EXPECTED) -> ChiSquare | None:
    """Two-sample chi-square test of homogeneity, both windows being samples.

    Cells whose expected count in the smaller window is below ``min_expected`` are pooled with the next larger
    ones until it is not (Cochran, "Some methods for strengthening the common chi-square tests", Biometrics 10
    (1954)). ``None`` if fewer than two cells are left.
    """
    table = np.stack([reference, current]).astype(np.float64)
    if not table.sum(axis=1).all():
        return None
    table = _pooled(table, min_expected)
    if table.shape[1] < 2:
        return None
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    freedom = table.shape[1] - 1
    return ChiSquare(statistic, freedom, chi_square_tail(freedom, statistic))


def rate_p_value(reference: Ints, current: Ints, *, min_expected: float = _MIN_EXPECTED) -> float | None:
    """Chance of so large a difference of two rates, each given as rows with and rows without a property.

    The chi-square test of ``chi_square`` for two cells, in closed form: Pearson, "On the criterion that a
    given system of deviations ...", Phil. Mag. 50 (1900). ``None`` if a cell's expected count is small.
    """
    (a, b), (c, d) = reference.tolist(), current.tolist()
    n_all, least = a + b + c + d, min(a + c, b + d) * min(a + b, c + d)
    if not n_all or least / n_all < min_expected:
        return None
    statistic = (a * d - b * c) ** 2 * n_all / ((a + b) * (c + d) * (a + c) * (b + d))
    return math.erfc(math.sqrt(statistic / 2))


def _pooled(table: Floats, min_expected: float) -> Floats:
    sums = table.sum(axis=0)
    order = np.argsort(sums, kind="stable")
    expected = sums[order] * table.sum(axis=1).min() / sums.sum()
    groups, n_groups, gathered = np.empty(len(order), dtype=np.int64), 0, 0.0
    for cell, amount in zip(order.tolist(), expected.tolist(), strict=True):
        groups[cell] = n_groups
        gathered += amount
        if gathered >= min_expected:
            n_groups, gathered = n_groups + 1, 0.0
    # What is left over at the end is too little for a group of its own: it joins the last one.
    groups = np.minimum(groups, max(0, n_groups - 1))
    return np.stack([np.bincount(groups, weights=row) for row in table])


def shares(counts: Ints) -> Floats | None:
    """Counts as shares of all, or ``None`` for an empty window."""
    n_all = int(counts.sum())
    return counts / n_all if n_all else None


def smoothed(counts: Ints) -> Floats:
    """Shares after half a row is added to each cell (Jeffreys' prior), so that none is zero."""
    return np.asarray((counts + 0.5) / (counts.sum() + 0.5 * len(counts)), dtype=np.float64)


def psi(reference: Ints, current: Ints) -> float | None:
    """Population stability index, the symmetric Kullback-Leibler divergence, in nats, of smoothed shares.

    Siddiqi, "Credit Risk Scorecards" (2006); common rules of thumb call 0.1 small and 0.25 large.
    """
    if not reference.sum() or not current.sum():
        return None
    before, after = smoothed(reference), smoothed(current)
    return float(((after - before) * np.log(after / before)).sum())


def jensen_shannon(reference: Ints, current: Ints) -> float | None:
    """Jensen-Shannon distance (square root of the divergence, base 2), in [0, 1].

    Endres and Schindelin, "A new metric for probability distributions", IEEE Trans. Inf. Theory 49 (2003).
    """
    before, after = shares(reference), shares(current)
    if before is None or after is None:
        return None
    middle = (before + after) / 2
    divergence = (_relative_entropy(before, middle) + _relative_entropy(after, middle)) / 2
    return min(1.0, math.sqrt(max(0.0, divergence / math.log(2))))


def _relative_entropy(shares_: Floats, middle: Floats) -> float:
    there = shares_ > 0
    return float((shares_[there] * np.log(shares_[there] / middle[there])).sum())


def hellinger(reference: Ints, current: Ints) -> float | None:
    """Hellinger distance, in [0, 1].

    Pollard, "A User's Guide to Measure Theoretic Probability" (2002), section 3.3.
    """
    before, after = shares(reference), shares(current)
    if before is None or after is None:
        return None
    return min(1.0, float(np.linalg.norm(np.sqrt(after) - np.sqrt(before))) / math.sqrt(2))


def total_variation(reference: Ints, current: Ints) -> float | None:
    """Half the sum of the absolute changes of share, in [0, 1]: the mass that sits elsewhere.

    Levin, Peres and Wilmer, "Markov Chains and Mixing Times" (2009), section 4.1.
    """
    before, after = shares(reference), shares(current)
    if before is None or after is None:
        return None
    return float(np.abs(after - before).sum() / 2)


def largest_share_change(reference: Ints, current: Ints) -> tuple[int, float] | None:
    """Return the cell whose share changed most, and by how much (signed, in [-1, 1])."""
    before, after = shares(reference), shares(current)
    if before is None or after is None or not len(before):
        return None
    change = after - before
    # Of two shares that changed alike, people want to hear of the one that rose.
    cell = int(change.argmax() if change.max() >= -change.min() * (1 - 1e-9) else change.argmin())
    return cell, float(change[cell])


def mann_whitney(reference: Ints, current: Ints) -> float | None:
    """Chance that a current value is above a reference value, ties counting half, in [0, 1].

    It is U / (n m) of Mann and Whitney, Ann. Math. Stat. 18 (1947), exact where the reference is not thinned.
    """
    n_reference, n_current = int(reference.sum()), int(current.sum())
    if not n_reference or not n_current:
        return None
    below = np.cumsum(reference) - reference
    wins = (current * (below + reference / 2)).sum()
    return float(wins / n_reference / n_current)


def quantile_bins(reference: Ints, n_bins: int = 10) -> Ints:
    """Return for each cell the number of its bin, at most ``n_bins`` of about equal reference mass.

    A cell is never split, so that a value with much mass has a bin of its own.
    """
    n_reference = max(1, int(reference.sum()))
    middle = np.cumsum(reference) - reference / 2
    return np.minimum((middle * n_bins / n_reference).astype(np.int64), n_bins - 1)


def binned(counts: Ints, bins: Ints) -> Ints:
    """Add up the counts of each bin; shape (largest bin + 1,)."""
    return np.bincount(bins, weights=counts).astype(np.int64)


def wasserstein(borders: Floats, reference: Ints, current: Ints) -> Bounds | None:
    """First Wasserstein distance, in the feature's unit, as bounds.

    Exact where no value lies strictly between two borders in either window. Inside an open cell both
    distribution functions are known at its ends only, which bounds the area between them; ``high`` is
    ``None`` if values lie beyond the last border, where nothing bounds it. Vallender, "Calculation of the
    Wasserstein distance between probability distributions on the line", Theory Probab. Appl. 18 (1974).
    """
    n_reference, n_current = int(reference.sum()), int(current.sum())
    if not n_reference or not n_current or not len(borders):
        return None
    before, after = np.cumsum(reference) / n_reference, np.cumsum(current) / n_current
    is_open_ended = any(counts[:2].any() or counts[-2:].any() for counts in (reference, current))
    # Cumulative shares just after a border and just before the next one, between which the cell is open.
    starts, ends = slice(2, -3, 2), slice(3, -3, 2)
    widths = np.diff(borders)
    low, high = _area_bounds(before[starts], before[ends], after[starts], after[ends])
    upper = None if is_open_ended else float((widths * high).sum())
    return Bounds(float((widths * low).sum()), upper)


def _area_bounds(
    before_start: Floats, before_end: Floats, after_start: Floats, after_end: Floats
) -> tuple[Floats, Floats]:
    # Both functions rise from start to end anywhere inside: the gap between them is smallest if their ranges
    # touch, largest if one rises at once and the other at the last moment.
    low = np.maximum(0.0, np.maximum(after_start - before_end, before_start - after_end))
    high = np.maximum(after_end - before_start, before_end - after_start)
    return low, high


def quantile(borders: Floats, counts: Ints, level: float) -> float | None:
    """Value below which a share ``level`` of the window lies, in the feature's unit.

    Exact on a border, interpolated inside an open cell, the outermost border beyond it. ``None`` for an empty
    window, or if the value is not finite.
    """
    n_all = int(counts.sum())
    if not n_all or not len(borders):
        return None
    rank = min(max(level * n_all, 0.5), n_all - 0.5)
    cumulative = np.cumsum(counts)
    cell = int(cumulative.searchsorted(rank))
    if cell in (0, len(counts) - 1):
        return None
    before, after = _ends(borders, cell)
    part = (rank - (cumulative[cell] - counts[cell])) / counts[cell]
    return float(before + (after - before) * part)


def _ends(borders: Floats, cell: int) -> tuple[float, float]:
    # Cell 2i is on border i - 1 (counting from 0), cell 2i + 1 between border i - 1 and border i.
    after = borders[min(cell // 2, len(borders) - 1)] if cell % 2 else borders[cell // 2 - 1]
    return float(borders[max(cell // 2 - 1, 0)]), float(after)
