"""Metrics of bootstrap resamples, many at once: how far a metric, or a difference of two, could be chance.

A resample is a row of counts, how often each row was drawn (Efron and Tibshirani 1993, *An Introduction to
the Bootstrap*, chapter 6); a metric of many resamples is a few matrix operations. The metrics are those of
``model.evaluation``, with NaN where one is not defined in a resample.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.answer import Judge
from model.spec import Spec

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Metric = Callable[[Floats], Floats]

N_RESAMPLES = 1_000
SEED = 20_240_229
CELLS_AT_ONCE = 4_000_000
# A resample in which the metric is not defined says nothing; with many of those, an interval neither.
MIN_SHARE_DEFINED = 0.9


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of a metric; its ends are None where the rows do not allow one."""

    low: float | None
    high: float | None


def resamples(n_rows: int, n_resamples: int = N_RESAMPLES, seed: int = SEED) -> Iterator[Floats]:
    """Yield counts of shape (some, n_rows), ``n_resamples`` rows of them in all; the same for a seed."""
    rng = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // max(n_rows, 1))
    for start in range(0, n_resamples, at_once):
        size = min(at_once, n_resamples - start)
        drawn = rng.integers(0, n_rows, (size, n_rows)) + np.arange(size)[:, None] * n_rows
        counts = np.bincount(drawn.ravel(), minlength=size * n_rows)
        yield counts.reshape(size, n_rows).astype(np.float64)


def flips(n_rows: int, n_flips: int = N_RESAMPLES, seed: int = SEED) -> Iterator[Floats]:
    """Yield coins, 0 or 1 with equal chance, of shape (some, n_rows), in all ``n_flips`` rows of them."""
    rng = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // max(2 * n_rows, 1))
    for start in range(0, n_flips, at_once):
        yield rng.integers(0, 2, (min(at_once, n_flips - start), n_rows)).astype(np.float64)


def resampled(metric: Metric, n_rows: int, n_resamples: int = N_RESAMPLES, seed: int = SEED) -> Floats:
    """Return the metric of each resample, shape (n_resamples,)."""
    parts = [metric(counts) for counts in resamples(n_rows, n_resamples, seed)]
    return np.concatenate(parts) if parts else np.empty(0)


def percentiles(values: Floats, level: float) -> Interval:
    """Return the percentile interval of ``level`` (Efron and Tibshirani 1993, chapter 13)."""
    defined = values[np.isfinite(values)]
    if len(defined) < max(1, MIN_SHARE_DEFINED * len(values)):
        return Interval(None, None)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def metric_of(spec: Spec, name: str, y_true: NDArray[Any], scores: Floats, threshold: float = 0.5) -> Metric:
    """Return the metric as a function of counts.

    Parameters
    ----------
    name : str
        One of ``evaluation.evaluate``.
    y_true, scores, threshold
        As ``evaluation.evaluate`` takes them.

    Returns
    -------
    callable
        From counts of shape (n_resamples, n_rows) to float64 of shape (n_resamples,).
    """
    if spec.task == "regression":
        return partial(_REGRESSION[name], np.asarray(y_true, dtype=np.float64), scores)
    if spec.positive_index is not None:
        return _two_classes(name, y_true == spec.positive_index, scores, spec, threshold)
    return _more_classes(name, y_true, scores)


def _two_classes(name: str, is_positive: Flags, scores: Floats, spec: Spec, threshold: float) -> Metric:
    positive = spec.positive_index or 0
    if name in _RANKED:
        return _RANKED[name](is_positive, scores[:, positive])
    if name == "brier":
        return _mean_of((scores[:, positive] - is_positive) ** 2)
    is_chosen = Judge(spec, threshold).chosen(scores) == positive
    if name == "accuracy":
        return _mean_of(is_chosen == is_positive)
    return partial(_COUNTED[name], is_positive, is_chosen)


def _more_classes(name: str, y_true: Codes, scores: Floats) -> Metric:
    chosen, n_classes = scores.argmax(axis=1), scores.shape[1]
    if name == "accuracy":
        return _mean_of(chosen == y_true)
    if name == "brier":
        return _mean_of(((scores - np.eye(n_classes)[y_true]) ** 2).sum(axis=1))
    if name in _RANKED:
        return _macro([_RANKED[name](y_true == c, scores[:, c]) for c in range(n_classes)])
    return _macro([partial(_COUNTED[name], y_true == c, chosen == c) for c in range(n_classes)])


def _macro(metrics: list[Metric]) -> Metric:
    """Mean over the classes for which the metric is defined."""

    def metric(counts: Floats) -> Floats:
        each = np.array([one(counts) for one in metrics])
        n_defined = np.isfinite(each).sum(axis=0)
        return _ratio(np.nansum(each, axis=0), n_defined)

    return metric


def _mean_of(values: NDArray[Any]) -> Metric:
    column = values.astype(np.float64)
    return lambda counts: _ratio(counts @ column, counts.sum(axis=1))


def _ratio(part: Floats, whole: NDArray[Any]) -> Floats:
    found = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=found, where=np.asarray(whole) > 0)
    return found


def _precision(is_true: Flags, is_chosen: Flags, counts: Floats) -> Floats:
    return _ratio(counts @ (is_true & is_chosen), counts @ is_chosen)


def _recall(is_true: Flags, is_chosen: Flags, counts: Floats) -> Floats:
    return _ratio(counts @ (is_true & is_chosen), counts @ is_true)


def _f1(is_true: Flags, is_chosen: Flags, counts: Floats) -> Floats:
    return _ratio(2 * (counts @ (is_true & is_chosen)), counts @ is_true + counts @ is_chosen)


class _Ranking:
    """Rows in the order of their score, the highest first, with the ends of groups of equal scores."""

    def __init__(self, is_positive: Flags, score: Floats) -> None:
        self._order = np.argsort(-score, kind="stable")
        in_order = score[self._order]
        self._ends = np.append(np.flatnonzero(in_order[:-1] != in_order[1:]), len(score) - 1)
        self._is_positive = is_positive[self._order].astype(np.float64)

    def hits(self, counts: Floats) -> tuple[Floats, Floats]:
        """Return how many positive and negative rows have at least each score, (n_resamples, n_scores)."""
        in_order = counts[:, self._order]
        positive = in_order * self._is_positive
        at_ends = np.cumsum(positive, axis=1)[:, self._ends]
        return at_ends, np.cumsum(in_order - positive, axis=1)[:, self._ends]


def _roc_auc(is_positive: Flags, score: Floats) -> Metric:
    ranking = _Ranking(is_positive, score)

    def metric(counts: Floats) -> Floats:
        positive, negative = ranking.hits(counts)
        # Trapezoids under the ROC curve: equal scores count half (Fawcett 2006).
        before = np.pad(positive, ((0, 0), (1, 0)))[:, :-1]
        steps = np.diff(negative, axis=1, prepend=0.0)
        area = (steps * (positive + before) / 2).sum(axis=1)
        return _ratio(area, positive[:, -1] * negative[:, -1])

    return metric


def _average_precision(is_positive: Flags, score: Floats) -> Metric:
    ranking = _Ranking(is_positive, score)

    def metric(counts: Floats) -> Floats:
        positive, negative = ranking.hits(counts)
        precision = np.nan_to_num(_ratio(positive, positive + negative))
        steps = np.diff(positive, axis=1, prepend=0.0)
        return _ratio((steps * precision).sum(axis=1), positive[:, -1])

    return metric


def _rmse(y_true: Floats, y_pred: Floats, counts: Floats) -> Floats:
    return np.sqrt(_ratio(counts @ (y_pred - y_true) ** 2, counts.sum(axis=1)))


def _mae(y_true: Floats, y_pred: Floats, counts: Floats) -> Floats:
    return _ratio(counts @ np.abs(y_pred - y_true), counts.sum(axis=1))


def _mape(y_true: Floats, y_pred: Floats, counts: Floats) -> Floats:
    if (y_true == 0).any():
        return np.full(len(counts), np.nan)
    return _ratio(counts @ np.abs((y_pred - y_true) / y_true), counts.sum(axis=1))


def _r2(y_true: Floats, y_pred: Floats, counts: Floats) -> Floats:
    # Around the mean of all rows, so that no digits are lost where the target is far from zero.
    centred, n = y_true - y_true.mean(), counts.sum(axis=1)
    mean = _ratio(counts @ centred, n)
    variance = counts @ centred**2 - n * mean**2
    return 1 - _ratio(counts @ (y_true - y_pred) ** 2, variance)


def _r2_log(y_true: Floats, y_pred: Floats, counts: Floats) -> Floats:
    if (y_true <= 0).any():
        return np.full(len(counts), np.nan)
    lifted = np.where(y_pred > 0, y_pred, y_true.min())
    return _r2(np.log(y_true), np.log(lifted), counts)


_RANKED: dict[str, Callable[[Flags, Floats], Metric]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
}
_COUNTED = {"precision": _precision, "recall": _recall, "f1": _f1}
_REGRESSION = {"rmse": _rmse, "mae": _mae, "r2": _r2, "mape": _mape, "r2_log": _r2_log}
