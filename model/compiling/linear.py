"""Models that are one matrix product and a link function."""

from typing import Any

import numpy as np
from sklearn import linear_model as lm
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.svm import LinearSVC, LinearSVR

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import (
    clipped,
    doubt_around,
    linear,
    logistic_shares,
    normalised,
    one,
    product,
    row_sum,
    softmax,
    with_complement,
)
from model.compiling.graph import Graph
from model.compiling.registry import convert, converts
from model.compiling.tables import Table

REGRESSORS = (
    lm.ARDRegression, lm.BayesianRidge, lm.ElasticNet, lm.ElasticNetCV, lm.HuberRegressor, lm.Lars, lm.LarsCV,
    lm.Lasso, lm.LassoCV, lm.LassoLars, lm.LassoLarsCV, lm.LassoLarsIC, lm.LinearRegression,
    lm.OrthogonalMatchingPursuit, lm.OrthogonalMatchingPursuitCV, lm.PassiveAggressiveRegressor,
    lm.QuantileRegressor, lm.Ridge, lm.RidgeCV, lm.SGDRegressor, lm.TheilSenRegressor, LinearSVR,
)  # fmt: skip
GENERALISED = (lm.GammaRegressor, lm.PoissonRegressor, lm.TweedieRegressor)
CLASSIFIERS = (
    lm.LogisticRegression, lm.LogisticRegressionCV, lm.PassiveAggressiveClassifier, lm.Perceptron,
    lm.RidgeClassifier, lm.RidgeClassifierCV, lm.SGDClassifier, LinearDiscriminantAnalysis, LinearSVC,
)  # fmt: skip


def _product(step: Any, table: Table, graph: Graph) -> Table:
    weights = np.asarray(step.coef_, dtype=np.float64).reshape(-1, table.n_columns).T
    intercept = np.asarray(step.intercept_, dtype=np.float64)
    raw = product(graph, table, weights, intercept)
    return graph.table(raw, weights.shape[1], blur=1.0 + float(np.abs(intercept).max()))


@converts(*REGRESSORS, method="predict")
def _regressor(step: Any, table: Table, graph: Graph) -> Table:
    return _product(step, table, graph)


@converts(lm.RANSACRegressor, method="predict")
def _ransac(step: Any, table: Table, graph: Graph) -> Table:
    return convert(step.estimator_, "predict", table, graph)


@converts(PLSRegression, method="predict")
def _partial_least_squares(step: Any, table: Table, graph: Graph) -> Table:
    centered = graph.node("Sub", graph.matrix(table), graph.row(step._x_mean))
    raw = linear(graph, centered, np.asarray(step.coef_).T, step.intercept_)
    return graph.table(raw, 1, blur=1.0 + float(np.abs(step.intercept_).max()))


@converts(*GENERALISED, method="predict")
def _generalised(step: Any, table: Table, graph: Graph) -> Table:
    link = type(step._base_loss.link).__name__
    raw = _product(step, table, graph)
    if link == "IdentityLink":
        return raw
    if link == "LogLink":
        return graph.table(graph.node("Exp", graph.matrix(raw)), 1, blur=1.0)
    raise NotCompilableError(f"unknown link {link}")


@converts(*CLASSIFIERS, method="decision_function")
def _decision(step: Any, table: Table, graph: Graph) -> Table:
    return _product(step, table, graph)


@converts(lm.LogisticRegression, lm.LogisticRegressionCV, LinearDiscriminantAnalysis, method="predict_proba")
def _multinomial(step: Any, table: Table, graph: Graph) -> Table:
    if len(step.classes_) == 2:
        return _logistic(step, table, graph)
    raw = _product(step, table, graph)
    return graph.table(softmax(graph, graph.matrix(raw)), raw.n_columns, blur=1.0)


@converts(lm.SGDClassifier, method="predict_proba")
def _stochastic(step: Any, table: Table, graph: Graph) -> Table:
    is_binary = len(step.classes_) == 2
    if step.loss == "log_loss":
        return _logistic(step, table, graph) if is_binary else _one_against_rest(step, table, graph)
    raw = graph.matrix(_product(step, table, graph))
    doubt_around(graph, raw, -1.0, 1e-7)  # below it no class has a share, which jumps to equal shares
    half = graph.constant([[0.5]])
    shares = graph.node("Mul", graph.node("Add", clipped(graph, raw, [-1.0], [1.0]), one(graph)), half)
    if is_binary:
        return graph.table(with_complement(graph, shares), 2, blur=1.0)
    n_classes = len(step.classes_)
    return graph.table(normalised(graph, shares, 1.0 / n_classes), n_classes, blur=1.0)


def _logistic(step: Any, table: Table, graph: Graph) -> Table:
    """Both classes by one product: the weights of the first are those of the second with other sign."""
    weights = np.asarray(step.coef_, dtype=np.float64).reshape(1, -1)
    intercept = np.asarray(step.intercept_, dtype=np.float64).reshape(-1)[:1]
    both = np.concatenate([-weights, weights]).T
    raw = product(graph, table, both, np.concatenate([-intercept, intercept]))
    return graph.table(graph.node("Sigmoid", raw), 2, blur=1.0)


def _one_against_rest(step: Any, table: Table, graph: Graph) -> Table:
    n_classes = len(step.classes_)
    raw = graph.matrix(_product(step, table, graph))
    return graph.table(logistic_shares(graph, raw, n_classes), n_classes, blur=1.0)


@converts(QuadraticDiscriminantAnalysis, method="predict_proba")
def _quadratic(step: Any, table: Table, graph: Graph) -> Table:
    n_classes = len(step.classes_)
    parts = [_log_density(step, graph.matrix(table), i, graph) for i in range(n_classes)]
    return graph.table(softmax(graph, graph.node("Concat", *parts, axis=1)), n_classes, blur=1.0)


@converts(QuadraticDiscriminantAnalysis, method="decision_function")
def _quadratic_decision(step: Any, table: Table, graph: Graph) -> Table:
    parts = [_log_density(step, graph.matrix(table), i, graph) for i in range(len(step.classes_))]
    if len(parts) == 2:
        return graph.table(graph.node("Sub", parts[1], parts[0]), 1, blur=1.0)
    return graph.table(graph.node("Concat", *parts, axis=1), len(parts), blur=1.0)


def _log_density(step: Any, matrix: str, position: int, graph: Graph) -> str:
    """Return the logarithm of a class's Gaussian density and prior, up to a constant (ESL, equation 4.12)."""
    scalings = step.scalings_[position]
    centered = graph.node("Sub", matrix, graph.row(step.means_[position]))
    rotated = graph.node("MatMul", centered, graph.constant(step.rotations_[position] * scalings**-0.5))
    norm = row_sum(graph, graph.node("Mul", rotated, rotated))
    offset = np.log(step.priors_[position]) - 0.5 * np.log(scalings).sum()
    half = graph.node("Mul", norm, graph.constant([[-0.5]]))
    return graph.node("Add", half, graph.constant([[offset]]))
