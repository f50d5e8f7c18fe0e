"""Machines that weigh kernels between a row and points known at training."""

from typing import Any

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVC, SVR, NuSVC, NuSVR

from model.compiling.distances import squared_euclidean
from model.compiling.errors import NotCompilableError
from model.compiling.formulas import linear
from model.compiling.graph import Graph
from model.compiling.registry import converts
from model.compiling.tables import Table
from model.compiling.words import Floats


@converts(SVR, NuSVR, method="predict")
def _support_regressor(step: Any, table: Table, graph: Graph) -> Table:
    return _weighed(step, table, graph)


@converts(SVC, NuSVC, method="decision_function")
def _support_decision(step: Any, table: Table, graph: Graph) -> Table:
    if len(step.classes_) > 2:
        raise NotCompilableError("votes between pairs of more than two classes")
    return _weighed(step, table, graph)


@converts(SVC, NuSVC, method="predict_proba")
def _support_probabilities(step: Any, table: Table, graph: Graph) -> Table:
    raise NotCompilableError("probability=True (deprecated; CalibratedClassifierCV can be compiled)")


@converts(KernelRidge, method="predict")
def _kernel_ridge(step: Any, table: Table, graph: Graph) -> Table:
    points = _dense(step.X_fit_)
    gamma = 1.0 / points.shape[1] if step.gamma is None else float(step.gamma)
    kernel = _kernel(step, graph, graph.matrix(table), points, gamma)
    weights = np.asarray(step.dual_coef_, dtype=np.float64).reshape(len(points), -1)
    return graph.table(linear(graph, kernel, weights, [0.0]), weights.shape[1], blur=1.0)


def _weighed(step: Any, table: Table, graph: Graph) -> Table:
    points, weights = _dense(step.support_vectors_), _dense(step.dual_coef_).T
    kernel = _kernel(step, graph, graph.matrix(table), points, float(step._gamma))
    intercept = np.asarray(step.intercept_, dtype=np.float64)
    raw = linear(graph, kernel, weights, intercept)
    return graph.table(raw, 1, blur=1.0 + float(np.abs(weights).sum()))


def _dense(matrix: Any) -> Floats:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)


def _kernel(step: Any, graph: Graph, matrix: str, points: Floats, gamma: float) -> str:
    graph.widen(len(points))
    if step.kernel == "rbf":
        squares = squared_euclidean(graph, matrix, points)
        return graph.node("Exp", graph.node("Mul", squares, graph.constant([[-gamma]])))
    if step.kernel == "linear":
        return graph.node("MatMul", matrix, graph.constant(points.T))
    if step.kernel in ("poly", "polynomial"):
        product = linear(graph, matrix, gamma * points.T, [float(step.coef0)])
        return graph.node("Pow", product, graph.constant([[float(step.degree)]]))
    if step.kernel == "sigmoid":
        return graph.node("Tanh", linear(graph, matrix, gamma * points.T, [float(step.coef0)]))
    raise NotCompilableError(f"kernel={step.kernel!r}")
