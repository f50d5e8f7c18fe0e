"""Rows drawn from figures by a Gaussian copula, one a group.

Normal variables with the right correlations are turned into the columns by their quantile functions (Cario
and Nelson 1997, "Modeling and generating random vectors with arbitrary marginal distributions and correlation
matrix"). Knows figures only: no public row can get in. Writes no files.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from data.columns import Column, Table
from data.figures import Figures, Group, Number, Shares, join_keys

Floats = npt.NDArray[np.float64]
Column_figures = Number | Shares

_TRIAL_ROWS = 3000
_TRIALS = 4
_MIN_EIGENVALUE = 1e-4


def simulate(table: Table, figures: Figures, rows: int, seed: int) -> pd.DataFrame:
    """Draw rows that have the marginals, shares and rank correlations of the figures.

    Parameters
    ----------
    table : Table
        Columns and their rounding.
    figures : Figures
        Figures of that table.
    rows : int
        Number of rows, at least 1; groups keep their shares to the nearest row.
    seed : int
        Same seed, same rows.

    Returns
    -------
    DataFrame of shape (rows, n_columns)
        In the order and with the cell forms of the public table.
    """
    rng = np.random.default_rng(seed)
    sizes = allot([group.n_rows for group in figures.groups], rows)
    parts = [_group_rows(table, g, n, rng) for g, n in zip(figures.groups, sizes, strict=True) if n]
    frame = pd.concat(parts, ignore_index=True).iloc[rng.permutation(rows)].reset_index(drop=True)
    for column in table.of_kind("nested"):
        frame[column.name] = _draw_nested(column, figures.nested[column.name], frame, rng)
    for column in table.of_kind("id"):
        frame[column.name] = np.arange(1, rows + 1)
    return _with_whole_numbers(table.finish(frame))[table.header]


def _with_whole_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Make columns of whole numbers integer ones, so that 50 is not written as 50.0 beside a missing cell."""
    for name in frame.columns[frame.dtypes == np.float64]:
        if (frame[name].dropna() % 1 == 0).all():
            frame[name] = frame[name].astype("Int64")
    return frame


def allot(weights: list[int], rows: int) -> list[int]:
    """Split rows by weights with the largest remainders rounded up.

    >>> allot([49, 1559], 8000)
    [244, 7756]
    """
    exact = np.array(weights) * rows / sum(weights)
    sizes = np.floor(exact).astype(int)
    by_remainder = np.argsort(sizes - exact, kind="stable")
    sizes[by_remainder[: rows - sizes.sum()]] += 1
    return [int(size) for size in sizes]


def _group_rows(table: Table, group: Group, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    columns = table.of_kind("number", "steps", "category")
    factor = latent_factor(group, rng)
    levels = ndtr(rng.standard_normal((rows, len(factor))) @ factor.T)
    cells = {c.name: _cells(c, group.columns[c.name], levels[:, i]) for i, c in enumerate(columns)}
    frame = pd.DataFrame(cells)
    for name, value in group.keys.items():
        if name in table.header:
            frame[name] = value
    return _with_gaps(frame, columns, group, levels[:, len(columns) :])


def latent_factor(group: Group, rng: np.random.Generator) -> Floats:
    """Find the factor of the normal variables whose columns have the rank correlations of the group.

    Steps, categories and atoms tie ranks, which weakens correlations; so the start by Pearson = 2 sin(pi/6
    Spearman) (Kruskal 1958) is corrected by what a few trial draws miss.

    Returns
    -------
    ndarray of shape (n_columns, n_columns)
        Lower triangular; its product with its transpose is a correlation matrix.
    """
    wanted = np.array(group.correlations)
    figures = [*group.columns.values(), *(_gap(group.columns[name].missing) for name in group.gaps)]
    trial = rng.standard_normal((_TRIAL_ROWS, len(figures)))
    spearman = wanted
    factor: Floats = np.eye(len(figures))
    for _ in range(_TRIALS):
        factor[:] = np.linalg.cholesky(nearest_correlation(2 * np.sin(np.pi / 6 * spearman)))
        missed = wanted - _rank_correlations(figures, ndtr(trial @ factor.T))
        spearman = np.clip(spearman + missed, -0.98, 0.98)
    return factor


def _gap(missing: float) -> Shares:
    return Shares(values=[0.0, 1.0], shares=[1 - missing, missing])


def nearest_correlation(matrix: Floats) -> Floats:
    """Lift eigenvalues above 0 and scale the diagonal back to 1 (Rousseeuw and Molenberghs 1993)."""
    symmetric = (matrix + matrix.T) / 2
    np.fill_diagonal(symmetric, 1.0)
    values, vectors = np.linalg.eigh(symmetric)
    lifted = (vectors * np.maximum(values, _MIN_EIGENVALUE)) @ vectors.T
    scale = 1 / np.sqrt(np.diag(lifted))
    return np.asarray(lifted * np.outer(scale, scale), dtype=np.float64)


def _rank_correlations(figures: list[Column_figures], levels: Floats) -> Floats:
    codes = {i: _codes(f, levels[:, i]) for i, f in enumerate(figures)}
    ranks = pd.DataFrame(codes).rank().fillna(0.0).to_numpy(copy=True)
    is_flat = ranks.std(axis=0) == 0
    ranks[0, is_flat] += 1  # a constant column has no rank correlation; keep the division defined
    correlations = np.corrcoef(ranks, rowvar=False)
    correlations[is_flat] = 0
    correlations[:, is_flat] = 0
    return np.asarray(correlations, dtype=np.float64)


def _codes(figures: Column_figures, levels: Floats) -> Floats:
    if isinstance(figures, Number):
        return invert(figures, levels)
    return _steps(figures, levels).astype(np.float64)


def _cells(column: Column, figures: Column_figures, levels: Floats) -> npt.NDArray[np.generic]:
    if isinstance(figures, Number):
        return rounded(invert(figures, levels), column)
    if not figures.values:
        return np.full(len(levels), np.nan)
    return np.array(figures.values)[_steps(figures, levels)]


def _steps(figures: Shares, levels: Floats) -> npt.NDArray[np.int64]:
    upper = np.cumsum(figures.shares)
    steps = np.searchsorted(upper / upper[-1] if len(upper) else upper, levels, side="right")
    return np.minimum(steps, max(len(upper) - 1, 0)).astype(np.int64)


def invert(figures: Number, levels: Floats) -> Floats:
    """Apply the quantile function of a numeric column.

    Parameters
    ----------
    figures : Number
        Quantiles of the continuous part and atoms.
    levels : ndarray of shape (n,)
        Probabilities in (0, 1).

    Returns
    -------
    ndarray of shape (n,)
        Values; NaN where the column has none. Rises with ``levels``; an atom takes exactly its share of them.
    """
    if not figures.quantiles and not figures.atoms:
        return np.full(len(levels), np.nan)
    continuous = 1 - sum(share for _, share in figures.atoms)
    values = np.full(len(levels), np.nan)
    rest, below = levels.copy(), 0.0
    for value, share in figures.atoms:
        start = below + continuous * _level_of(figures, value)
        is_here = (levels >= start) & (levels < start + share)
        values[is_here] = value
        rest[levels >= start + share] -= share
        below += share
    is_rest = np.isnan(values)
    values[is_rest] = _interpolate(figures, rest[is_rest] / max(continuous, 1e-9))
    return values


def _level_of(figures: Number, value: float) -> float:
    return float(np.interp(value, figures.quantiles, figures.levels)) if figures.quantiles else 0.0


def _interpolate(figures: Number, levels: Floats) -> Floats:
    if not figures.quantiles:  # rounding of the shares may leave a sliver beside the atoms
        return np.full(len(levels), figures.atoms[-1][0])
    return np.interp(levels, figures.levels, figures.quantiles)


def rounded(values: Floats, column: Column) -> Floats:
    """Round to the decimals or to the significant digits that the public column has."""
    if column.significant is None:
        return np.round(values, column.decimals)
    text = f"%.{column.significant}g"
    return np.array([float(text % value) for value in values])


def _with_gaps(frame: pd.DataFrame, columns: list[Column], group: Group, levels: Floats) -> pd.DataFrame:
    is_empty = pd.DataFrame(False, index=frame.index, columns=frame.columns)
    for i, name in enumerate(group.gaps):
        is_empty[name] = levels[:, i] > 1 - group.columns[name].missing
    for column in columns:
        if column.missing_with:
            is_empty[column.name] = is_empty[column.missing_with]
    return frame.mask(is_empty)


def _draw_nested(
    column: Column, shares: dict[str, dict[str, float]], frame: pd.DataFrame, rng: np.random.Generator
) -> npt.NDArray[np.object_]:
    keys = join_keys(frame, column.given).to_numpy()
    drawn = np.empty(len(frame), dtype=object)
    for key in sorted(set(keys)):
        places = np.flatnonzero(keys == key)
        figures = Shares(values=list(shares[key]), shares=list(shares[key].values()))
        drawn[places] = np.array(figures.values, dtype=object)[_steps(figures, rng.random(len(places)))]
    return drawn
