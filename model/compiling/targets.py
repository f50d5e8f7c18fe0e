"""Regressors on a transformed target, and models that answer a constant."""

from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, RobustScaler, StandardScaler

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import expm1, linear, log1p
from model.compiling.graph import Graph
from model.compiling.registry import convert, converts
from model.compiling.tables import Table
from model.compiling.words import Floats

INVERSE = "inverse_transform"


@converts(TransformedTargetRegressor, method="predict")
def _transformed_target(step: Any, table: Table, graph: Graph) -> Table:
    inner = convert(step.regressor_, "predict", table, graph)
    return convert(step.transformer_, INVERSE, inner, graph)


@converts(StandardScaler, RobustScaler, method=INVERSE)
def _unscaled(step: Any, table: Table, graph: Graph) -> Table:
    shift = step.mean_ if isinstance(step, StandardScaler) else step.center_
    ones, zeros = np.ones(table.n_columns), np.zeros(table.n_columns)
    return _affine(
        table, graph, ones if step.scale_ is None else step.scale_, zeros if shift is None else shift
    )


@converts(MinMaxScaler, method=INVERSE)
def _unbounded(step: Any, table: Table, graph: Graph) -> Table:
    return _affine(table, graph, 1.0 / step.scale_, -step.min_ / step.scale_)


def _affine(table: Table, graph: Graph, factor: Floats, offset: Floats) -> Table:
    moved = linear(graph, graph.matrix(table), np.diag(factor), offset)
    return graph.like(moved, table, blur=1.0 + float(np.abs(offset).max()))


@converts(PowerTransformer, method=INVERSE)
def _unbent(step: Any, table: Table, graph: Graph) -> Table:
    if step.method != "yeo-johnson":
        raise NotCompilableError("the inverse of Box-Cox")
    inner = convert(step._scaler, INVERSE, table, graph) if step.standardize else table
    x = graph.matrix(inner)
    exponents = np.asarray(step.lambdas_, dtype=np.float64)
    zero = graph.constant([[0.0]])
    up = _grown(graph, graph.node("Max", x, zero), exponents)
    down = _grown(graph, graph.node("Max", graph.node("Neg", x), zero), 2.0 - exponents)
    is_up = graph.node("GreaterOrEqual", x, zero)
    return graph.like(graph.node("Where", is_up, up, graph.node("Neg", down)), inner, blur=1.0)


def _grown(graph: Graph, x: str, exponents: Floats) -> str:
    """Return (1 + e x)^(1 / e) - 1 for each column's exponent e, and exp(x) - 1 where e is 0."""
    is_zero = np.abs(exponents) < np.finfo(np.float64).eps
    safe = np.where(is_zero, 1.0, exponents)
    logarithm = graph.node("Div", log1p(graph, graph.node("Mul", x, graph.row(safe))), graph.row(safe))
    flags = graph.constant(is_zero.reshape(1, -1), np.bool_)
    return expm1(graph, graph.node("Where", flags, x, logarithm))


@converts(DummyRegressor, method="predict")
def _constant(step: Any, table: Table, graph: Graph) -> Table:
    return _repeated(graph, np.asarray(step.constant_, dtype=np.float64).reshape(1, -1))


@converts(DummyClassifier, method="predict_proba")
def _constant_shares(step: Any, table: Table, graph: Graph) -> Table:
    if step.strategy in ("stratified",):
        raise NotCompilableError("it answers at random")
    shares = step.predict_proba(np.zeros((1, 1)))
    return _repeated(graph, np.asarray(shares, dtype=np.float64))


def _repeated(graph: Graph, row: Floats) -> Table:
    return graph.table(graph.node("Mul", graph.matrix(graph.ones()), graph.constant(row)), row.shape[1])
