"""Distances between rows and points known at training."""

from collections.abc import Callable

import numpy as np

from model.compiling.formulas import row_sum
from model.compiling.graph import Graph
from model.compiling.words import Floats


def squared_euclidean(graph: Graph, matrix: str, points: Floats) -> str:
    """Return squared distances, shape (n_rows, n_points), as |x|^2 - 2 x.p + |p|^2 around the points' mean.

    Never below 0. The rounding is that of the squared norms.
    """
    center = points.mean(axis=0)
    moved = points - center
    x = graph.node("Sub", matrix, graph.row(center))
    norms = (moved * moved).sum(axis=1).reshape(1, -1)
    cross = graph.node("Gemm", x, graph.constant(-2.0 * moved.T), graph.constant(norms))
    total = graph.node("Add", cross, row_sum(graph, graph.node("Mul", x, x)))
    graph.widen(len(points))
    return graph.node("Max", total, graph.constant([[0.0]]))


def squared_differences(graph: Graph, matrix: str, points: Floats) -> str:
    """Return squared distances as sums of squared differences: slower, but exactly 0 between equal rows."""
    return _sum_over_columns(graph, matrix, points, lambda gap: graph.node("Mul", gap, gap))


def manhattan(graph: Graph, matrix: str, points: Floats) -> str:
    """Return sums of absolute differences, shape (n_rows, n_points)."""
    return _sum_over_columns(graph, matrix, points, lambda gap: graph.node("Abs", gap))


def _sum_over_columns(graph: Graph, matrix: str, points: Floats, measure: Callable[[str], str]) -> str:
    graph.widen(len(points))
    parts = []
    for column in range(points.shape[1]):
        x = graph.node("Gather", matrix, graph.constant([column], np.int64), axis=1)
        parts.append(measure(graph.node("Sub", x, graph.row(points[:, column]))))
    total = parts[0]
    for part in parts[1:]:
        total = graph.node("Add", total, part)
    return total
