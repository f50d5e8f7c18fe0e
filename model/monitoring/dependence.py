"""How much rows depend on each other: batches, customers and autocorrelation make n rows tell less than n.

The design effect of a feature is by how much its shares vary more from window to window than independent
draws would. Dividing rows by it gives the effective sample size that ``decision`` then works with (Kish,
"Survey Sampling" (1965), section 8.2). It is learnt from windows in which nothing changed: training data with
a time column, or the first weeks of production.
"""

from collections.abc import Callable, Sequence

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.cells import NumberCells
from model.monitoring.feature import FeatureReference
from model.monitoring.reference import ModelCounts, ModelReference

MIN_WINDOWS = 10
_N_PLACES = 9
_MIN_SHARE = 0.05


def design_effects(reference: ModelReference, windows: Sequence[ModelCounts]) -> dict[str, float]:
    """Return the design effect of each feature and output, at least 1, for ``Policy.design_effects``.

    Parameters
    ----------
    windows : sequence of ModelCounts
        Of about the length that will be judged; empty ones are left out. With fewer than ``MIN_WINDOWS``
        every effect is 1, as nothing is known.
    """
    return {name: _of_feature(one, windows, design_effect) for name, one in reference.features.items()}


def design_effect(hits: Floats, rows: Floats) -> float:
    """Return the design effect of shares, at least 1.

    Parameters
    ----------
    hits : ndarray of shape (n_windows, n_places)
        Rows of each window that fall into each place.
    rows : ndarray of shape (n_windows,)
        Rows of each window, above 0.

    Returns
    -------
    float
        Mean over places of the variance between windows over the binomial one; 1 where it is not beyond what
        independent rows show by chance (two standard errors).
    """
    n_windows = len(rows)
    if not hits.shape[1]:
        return 1.0
    share = hits.sum(axis=0) / rows.sum()
    expected = rows[:, np.newaxis] * share
    ratios = ((hits - expected) ** 2 / (expected * (1 - share))).sum(axis=0) / (n_windows - 1)
    found = float(ratios.mean())
    return found if found > 1 + 2 * np.sqrt(2 / (n_windows - 1)) else 1.0


def neighbour_effects(reference: ModelReference, windows: Sequence[ModelCounts]) -> dict[str, float]:
    """Return design effects from differences of neighbouring windows only, for ``Policy.design_effects``.

    What moves slowly over the windows, such as a season or a trend, is no dependence then but drift (von
    Neumann, "Distribution of the ratio of the mean square successive difference to the variance", Ann. Math.
    Stat. 12 (1941)). ``windows`` as in ``design_effects``, in the order of time.
    """
    return {name: _of_feature(one, windows, _neighbour_effect) for name, one in reference.features.items()}


def _neighbour_effect(hits: Floats, rows: Floats) -> float:
    if not hits.shape[1]:
        return 1.0
    share = hits.sum(axis=0) / rows.sum()
    expected = share * (1 - share) * (1 / rows[1:] + 1 / rows[:-1])[:, np.newaxis]
    found = float((np.diff(hits / rows[:, np.newaxis], axis=0) ** 2 / expected).mean())
    # Neighbouring differences share a window, so their mean has a variance of 3 / (n - 1), not 2.
    return found if found > 1 + 2 * np.sqrt(3 / (len(rows) - 1)) else 1.0


def _of_feature(
    feature: FeatureReference, windows: Sequence[ModelCounts], effect: Callable[[Floats, Floats], float]
) -> float:
    counts = np.array([feature.values(window.parts[feature.name]) for window in windows])
    counts = counts.reshape(len(windows), feature.cells.n_values)
    counts = counts[counts.sum(axis=1) > 0]
    if len(counts) < MIN_WINDOWS:
        return 1.0
    return effect(_hits(feature, counts), counts.sum(axis=1).astype(np.float64))


def _hits(feature: FeatureReference, counts: Ints) -> Floats:
    total = counts.sum(axis=0)
    n_rows = max(1, int(total.sum()))
    if isinstance(feature.cells, NumberCells):
        counts, total = np.cumsum(counts, axis=1), np.cumsum(total)
        levels = np.arange(1, _N_PLACES + 1) / (_N_PLACES + 1)
        places = np.unique(total.searchsorted(levels * n_rows))
    else:
        places = np.arange(len(total))
    is_even = (total[places] >= _MIN_SHARE * n_rows) & (total[places] <= (1 - _MIN_SHARE) * n_rows)
    return counts[:, places[is_even]].astype(np.float64)
