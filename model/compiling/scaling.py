"""Scalers: the same subtractions and divisions in the same order, so the bits are scikit-learn's."""

from typing import Any

import numpy as np
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from model.compiling.formulas import clipped, one, row_max, row_sum
from model.compiling.graph import Graph
from model.compiling.registry import converts
from model.compiling.tables import Table


@converts(StandardScaler)
def _standard(step: Any, table: Table, graph: Graph) -> Table:
    mean = step.mean_ if step.with_mean else None
    scale = step.scale_ if step.with_std else None
    return graph.like(_shift_and_divide(graph, graph.matrix(table), mean, scale), table)


@converts(RobustScaler)
def _robust(step: Any, table: Table, graph: Graph) -> Table:
    center = step.center_ if step.with_centering else None
    scale = step.scale_ if step.with_scaling else None
    return graph.like(_shift_and_divide(graph, graph.matrix(table), center, scale), table)


@converts(MaxAbsScaler)
def _max_abs(step: Any, table: Table, graph: Graph) -> Table:
    matrix = _shift_and_divide(graph, graph.matrix(table), None, step.scale_)
    if getattr(step, "clip", False):
        matrix = clipped(graph, matrix, [-1.0], [1.0])
    return graph.like(matrix, table)


@converts(MinMaxScaler)
def _min_max(step: Any, table: Table, graph: Graph) -> Table:
    scaled = graph.node("Mul", graph.matrix(table), graph.row(step.scale_))
    matrix = graph.node("Add", scaled, graph.row(step.min_))
    if step.clip:
        low, high = step.feature_range
        matrix = clipped(graph, matrix, [low], [high])
    return graph.like(matrix, table)


@converts(Normalizer)
def _normalizer(step: Any, table: Table, graph: Graph) -> Table:
    graph.refuse_missing(table)
    matrix = graph.matrix(table)
    size = graph.node("Abs", matrix)
    if step.norm == "l1":
        norm = row_sum(graph, size)
    elif step.norm == "l2":
        norm = graph.node("Sqrt", row_sum(graph, graph.node("Mul", matrix, matrix)))
    else:
        norm = row_max(graph, size)
    is_zero = graph.node("Equal", norm, graph.constant([[0.0]]))
    divisor = graph.node("Where", is_zero, one(graph), norm)
    return graph.like(graph.node("Div", matrix, divisor), table, blur=0.0 if step.norm == "max" else 1.0)


def _shift_and_divide(graph: Graph, matrix: str, shift: Any, scale: Any) -> str:
    if shift is not None:
        matrix = graph.node("Sub", matrix, graph.row(shift))
    if scale is not None and not np.all(np.asarray(scale) == 1.0):
        matrix = graph.node("Div", matrix, graph.row(scale))
    return matrix
