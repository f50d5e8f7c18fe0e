"""How good scores are, under the names of metrics that specs and answers use.

Scores are those of a predictor: probabilities in the order of the spec's classes, or predicted values. A
metric that is not defined for the rows (one class only, no positive predicted, a zero among logarithms) is
None.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.answer import Judge
from model.spec import Spec

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Metrics = dict[str, float | None]

# Larger is better, but for these.
ERRORS = frozenset({"brier", "rmse", "mae", "mape"})


def evaluate(spec: Spec, y_true: NDArray[Any], scores: Floats, threshold: float = 0.5) -> Metrics:
    """Compute all metrics of the spec's task.

    Parameters
    ----------
    y_true : ndarray of shape (n_rows,)
        Positions of the classes in ``spec.labels``, or values of a regression.
    scores : ndarray of shape (n_rows, n_classes) or (n_rows,)
        What the predictor gave for these rows.
    threshold : float, default=0.5
        Two classes: probability from which on the positive one is answered.

    Returns
    -------
    dict of str to float or None
        Classification: accuracy, precision, recall, f1, roc_auc, average_precision (of the positive class;
        with more classes unweighted means over the classes, each against the rest) and brier (mean squared
        error of the probability; with more classes summed over them, Brier 1950). Regression: rmse, mae (in
        the target's unit), r2, mape (a share), r2_log (R² of the natural logarithms, where all targets are
        positive).
    """
    if spec.task == "regression":
        found = _regression(np.asarray(y_true, dtype=np.float64), scores)
    elif spec.positive_index is not None:
        found = _two_classes(spec, y_true, scores, threshold)
    else:
        found = _more_classes(y_true, scores)
    return {name: _finite(value) for name, value in found.items()}


def selected(spec: Spec, found: Metrics) -> Metrics:
    """Return the metrics that the spec names, in its order; all where it names none."""
    return {name: found[name] for name in spec.metrics if name in found} or found


def is_better(metric: str, value: float, other: float) -> bool:
    """Tell whether ``value`` beats ``other``."""
    return value < other if metric in ERRORS else value > other


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _two_classes(spec: Spec, y_true: Codes, scores: Floats, threshold: float) -> Metrics:
    positive = spec.positive_index or 0
    is_positive, probability = y_true == positive, scores[:, positive]
    is_chosen = Judge(spec, threshold).chosen(scores) == positive
    return (
        {"accuracy": _mean(is_chosen == is_positive)}
        | _counted(is_positive, is_chosen)
        | {
            "roc_auc": _ranked("roc_auc_score", is_positive, probability),
            "average_precision": _ranked("average_precision_score", is_positive, probability),
            "brier": _mean((probability - is_positive) ** 2),
        }
    )


def _more_classes(y_true: Codes, scores: Floats) -> Metrics:
    chosen, classes = scores.argmax(axis=1), range(scores.shape[1])
    counted = [_counted(y_true == c, chosen == c) for c in classes]
    wanted = np.eye(scores.shape[1])[y_true]
    return {
        "accuracy": _mean(chosen == y_true),
        "precision": _macro([one["precision"] for one in counted]),
        "recall": _macro([one["recall"] for one in counted]),
        "f1": _macro([one["f1"] for one in counted]),
        "roc_auc": _macro([_ranked("roc_auc_score", y_true == c, scores[:, c]) for c in classes]),
        "average_precision": _macro(
            [_ranked("average_precision_score", y_true == c, scores[:, c]) for c in classes]
        ),
        "brier": _mean(((scores - wanted) ** 2).sum(axis=1)),
    }


def _counted(is_true: NDArray[np.bool_], is_chosen: NDArray[np.bool_]) -> Metrics:
    hits, chosen, true = (int(np.count_nonzero(m)) for m in (is_true & is_chosen, is_chosen, is_true))
    return {
        "precision": _ratio(hits, chosen),
        "recall": _ratio(hits, true),
        "f1": _ratio(2 * hits, chosen + true),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None


def _macro(values: list[float | None]) -> float | None:
    """Mean over the classes for which the metric is defined."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _ranked(metric: str, is_positive: NDArray[np.bool_], score: Floats) -> float | None:
    from sklearn import metrics  # here, as the clock knows this module but mostly has no labels to measure

    if is_positive.all() or not is_positive.any() or not np.isfinite(score).all():
        return None
    return float(getattr(metrics, metric)(is_positive, score))


def _regression(y_true: Floats, y_pred: Floats) -> Metrics:
    error = y_pred - y_true
    is_positive = bool((y_true > 0).all())
    return {
        "rmse": _root(_mean(error**2)),
        "mae": _mean(np.abs(error)),
        "r2": _r2(y_true, y_pred),
        "mape": _mean(np.abs(error / y_true)) if (y_true != 0).all() else None,
        "r2_log": _r2(np.log(y_true), np.log(_lifted(y_pred, y_true))) if is_positive else None,
    }


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)


def _r2(y_true: Floats, y_pred: Floats) -> float | None:
    """Share of the variance explained; None where there is no variance."""
    if len(y_true) == 0:
        return None
    variance = float(((y_true - y_true.mean()) ** 2).sum())
    return 1 - float(((y_true - y_pred) ** 2).sum()) / variance if variance > 0 else None


def _lifted(y_pred: Floats, y_true: Floats) -> Floats:
    """Predictions with those at or below zero raised to the smallest target, as they have no logarithm."""
    return np.where(y_pred > 0, y_pred, y_true.min()) if len(y_true) else y_pred
