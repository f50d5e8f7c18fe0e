"""Probabilities put right: Platt's sigmoid, isotonic steps, temperature."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import (
    both_classes,
    doubt_around,
    linear,
    logistic_shares,
    normalised,
    row_min,
    softmax,
    with_complement,
)
from model.compiling.graph import Graph
from model.compiling.piecewise import Knots, interpolate
from model.compiling.registry import convert, converts
from model.compiling.tables import Table


@converts(CalibratedClassifierCV, method="predict_proba")
def _calibrated(step: Any, table: Table, graph: Graph) -> Table:
    parts = [_one_fold(inner, table, graph) for inner in step.calibrated_classifiers_]
    matrices = [graph.matrix(part) for part in parts]
    total = matrices[0]
    for matrix in matrices[1:]:
        total = graph.node("Add", total, matrix)
    if len(parts) > 1:
        total = graph.node("Div", total, graph.constant([[float(len(parts))]]))
    return graph.table(total, len(step.classes_), blur=1.0)


def _one_fold(inner: Any, table: Table, graph: Graph) -> Table:
    n_classes = len(inner.classes)
    if len(inner.estimator.classes_) != n_classes:
        raise NotCompilableError("a fold has not seen all classes")
    scores = _scores(inner.estimator, table, graph)
    if inner.method == "temperature":
        return _temperature(inner, scores, graph)
    calibrate = _sigmoid if inner.method == "sigmoid" else _isotonic_shares
    return graph.table(calibrate(inner.calibrators, scores, graph), n_classes, blur=1.0)


def _scores(estimator: Any, table: Table, graph: Graph) -> Table:
    """Return what scikit-learn calibrates: decisions where there are some, else probabilities."""
    method = "decision_function" if hasattr(estimator, "decision_function") else "predict_proba"
    scores = convert(estimator, method, table, graph)
    return scores.select([1]) if method == "predict_proba" and scores.n_columns == 2 else scores


def _sigmoid(calibrators: Sequence[Any], scores: Table, graph: Graph) -> str:
    """Apply to each column its own sigmoid (Platt 1999)."""
    slopes = graph.row([-calibrator.a_ for calibrator in calibrators])
    offsets = graph.row([-calibrator.b_ for calibrator in calibrators])
    raw = graph.node("Add", graph.node("Mul", graph.matrix(scores), slopes), offsets)
    if len(calibrators) == 1:
        return both_classes(graph, raw)
    return logistic_shares(graph, raw, len(calibrators))


def _isotonic_shares(calibrators: Sequence[Any], scores: Table, graph: Graph) -> str:
    shares = _isotonic(calibrators, scores, graph)
    if len(calibrators) == 1:
        return with_complement(graph, shares)
    doubt_around(graph, shares, 0.0, 1e-7)
    return normalised(graph, shares, 1.0 / len(calibrators))


def _isotonic(calibrators: Sequence[Any], scores: Table, graph: Graph) -> str:
    return interpolate(graph, scores, [_steps(calibrator) for calibrator in calibrators])


@converts(IsotonicRegression, method="predict")
def _isotonic_regression(step: Any, table: Table, graph: Graph) -> Table:
    if table.n_columns != 1:
        raise NotCompilableError("it gets several columns")
    return graph.table(_isotonic([step], table, graph), 1, blur=1.0)


def _steps(calibrator: Any) -> Knots:
    x, y = calibrator.X_thresholds_, np.asarray(calibrator.y_thresholds_, dtype=np.float64)
    if calibrator.out_of_bounds != "clip" or x.dtype != np.float64:
        raise NotCompilableError("isotonic regression other than clipped and in double precision")
    if len(x) < 2:
        x, y = np.append(x, x[0] + 1.0), np.append(y, y[0])
    return Knots(x, y, y, y)


def _temperature(inner: Any, scores: Table, graph: Graph) -> Table:
    """Divide logits by the temperature; probabilities become logits by log(p + 1e-12), as in scikit-learn."""
    n_classes, beta = len(inner.classes), float(inner.calibrators[0].beta_)
    matrix = graph.matrix(scores)
    if hasattr(inner.estimator, "decision_function"):
        logits = linear(graph, matrix, [[-1.0, 1.0]], [0.0]) if scores.n_columns == 1 else matrix
        return graph.table(_tempered(graph, logits, beta), n_classes, blur=1.0)
    shares = with_complement(graph, matrix) if scores.n_columns == 1 else matrix
    safe = graph.node("Add", shares, graph.constant([[1e-12]]))
    result = _tempered(graph, graph.node("Log", safe), beta)
    if scores.n_columns == 1 and scores.blur:
        _doubt_complement(graph, safe, result, beta)
    return graph.table(result, n_classes, blur=1.0)


def _tempered(graph: Graph, logits: str, beta: float) -> str:
    return softmax(graph, graph.node("Mul", logits, graph.constant([[beta]])))


def _doubt_complement(graph: Graph, shares: str, result: str, beta: float) -> None:
    """Be in doubt where the last bit of p shows in log(1 - p + 1e-12), and that in the result.

    The derivative of the result is beta p' (1 - p') / (1 - p), and the last bit of p is 2.2e-16.
    """
    slope = graph.node("Mul", row_min(graph, result), graph.constant([[beta * 2.2e-16 / 1e-7]]))
    graph.doubt(graph.node("Greater", slope, row_min(graph, shares)))
