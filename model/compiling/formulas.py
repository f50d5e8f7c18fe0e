"""Small formulas in terms of nodes, shared by the converters.

They take and return names of tensors of shape (n_rows, k). Where ONNX Runtime has no kernel for doubles
(log1p, expm1), the formula is spelled out.
"""

import numpy as np
from numpy.typing import ArrayLike
from onnx import TensorProto

from model.compiling.graph import Graph
from model.compiling.tables import Table


def one(graph: Graph) -> str:
    """Return the constant 1."""
    return graph.constant([[1.0]])


def both_classes(graph: Graph, decision: str) -> str:
    """Return the logistic probabilities of both classes, from the decision of the second."""
    return graph.node("Sigmoid", graph.node("Mul", decision, graph.row([-1.0, 1.0])))


def logistic(graph: Graph, x: str) -> str:
    """Return 1 / (1 + exp(-x)), precise to its last digits near 0 too, where Sigmoid is only so near 1."""
    return graph.node(
        "Div", one(graph), graph.node("Add", graph.node("Exp", graph.node("Neg", x)), one(graph))
    )


def with_complement(graph: Graph, positive: str) -> str:
    """Return columns 1 - p and p."""
    return graph.node("Concat", graph.node("Sub", one(graph), positive), positive, axis=1)


def softmax(graph: Graph, raw: str) -> str:
    """Return the softmax of each row."""
    return graph.node("Softmax", raw, axis=1)


def row_sum(graph: Graph, matrix: str) -> str:
    """Return the sum of each row, shape (n_rows, 1)."""
    return graph.node("ReduceSum", matrix, graph.constant([1], np.int64), keepdims=1)


def row_max(graph: Graph, matrix: str) -> str:
    """Return the maximum of each row, shape (n_rows, 1)."""
    return graph.node("ReduceMax", matrix, graph.constant([1], np.int64), keepdims=1)


def row_min(graph: Graph, matrix: str) -> str:
    """Return the minimum of each row, shape (n_rows, 1)."""
    return graph.node("ReduceMin", matrix, graph.constant([1], np.int64), keepdims=1)


def linear(graph: Graph, matrix: str, weights: ArrayLike, intercept: ArrayLike) -> str:
    """Return ``matrix @ weights + intercept``, with weights of shape (n_inputs, n_outputs)."""
    weights = np.asarray(weights, dtype=np.float64)
    offset = np.broadcast_to(np.asarray(intercept, dtype=np.float64).reshape(1, -1), (1, weights.shape[1]))
    return graph.node("Gemm", matrix, graph.constant(weights), graph.constant(offset))


def product(graph: Graph, table: Table, weights: ArrayLike, intercept: ArrayLike) -> str:
    """Return ``table @ weights + intercept``, with weights of shape (n_columns, n_outputs)."""
    matrix, places = graph.loose_matrix(table)
    given = np.asarray(weights, dtype=np.float64)
    moved = np.zeros((max(places) + 1, given.shape[1]))
    np.add.at(moved, places, given)
    return linear(graph, matrix, moved, intercept)


def number(graph: Graph, flags: str) -> str:
    """Return booleans or whole numbers as doubles."""
    return graph.node("Cast", flags, to=TensorProto.DOUBLE)


def whole(graph: Graph, numbers: str) -> str:
    """Return doubles as int64, for use as positions."""
    return graph.node("Cast", numbers, to=TensorProto.INT64)


def best_class(graph: Graph, scores: str) -> str:
    """Return the position of each row's first maximum, shape (n_rows, 1)."""
    return number(graph, graph.node("ArgMax", scores, axis=1, keepdims=1))


def is_class(graph: Graph, positions: str, n_classes: int) -> str:
    """Return a row of 0 and a single 1 for each position."""
    return number(graph, graph.node("Equal", positions, graph.row(np.arange(n_classes))))


def normalised(graph: Graph, matrix: str, if_zero: float) -> str:
    """Return each row divided by its sum, and ``if_zero`` throughout where that is 0."""
    total = row_sum(graph, matrix)
    is_zero = graph.node("Equal", total, graph.constant([[0.0]]))
    divisor = graph.node("Where", is_zero, one(graph), total)
    return graph.node("Where", is_zero, graph.constant([[if_zero]]), graph.node("Div", matrix, divisor))


def doubt_around(graph: Graph, raw: str, center: float, reach: float) -> None:
    """Be in doubt where the largest value of a row is within ``reach`` of ``center``."""
    gap = graph.node("Abs", graph.node("Sub", row_max(graph, raw), graph.constant([[center]])))
    graph.doubt(graph.node("Less", gap, graph.constant([[reach]])))


def logistic_shares(graph: Graph, raw: str, n_classes: int) -> str:
    """Return the logistic function of each score divided by the row's sum; equal shares where all are 0.

    They become 0 below about -745, by way of numbers that libraries round differently.
    """
    doubt_around(graph, raw, -730.0, 30.0)
    return normalised(graph, logistic(graph, raw), 1.0 / n_classes)


def log1p(graph: Graph, x: str) -> str:
    """Return log(1 + x), accurate near 0 (Kahan's quotient, see Higham 2002, section 1.14.1)."""
    u = graph.node("Add", x, one(graph))
    difference = graph.node("Sub", u, one(graph))
    is_tiny = graph.node("Equal", difference, graph.constant([[0.0]]))
    divisor = graph.node("Where", is_tiny, one(graph), difference)
    precise = graph.node("Mul", graph.node("Log", u), graph.node("Div", x, divisor))
    return graph.node("Where", is_tiny, x, precise)


def expm1(graph: Graph, x: str) -> str:
    """Return exp(x) - 1, accurate near 0, as 2 tanh(x / 2) / (1 - tanh(x / 2)) there."""
    half = graph.node("Tanh", graph.node("Mul", x, graph.constant([[0.5]])))
    near = graph.node(
        "Div", graph.node("Mul", half, graph.constant([[2.0]])), graph.node("Sub", one(graph), half)
    )
    far = graph.node("Sub", graph.node("Exp", x), one(graph))
    is_near = graph.node("Less", graph.node("Abs", x), one(graph))
    return graph.node("Where", is_near, near, far)


def clipped(graph: Graph, matrix: str, low: ArrayLike, high: ArrayLike) -> str:
    """Return each column kept between its two limits; NaN stays."""
    return graph.node("Min", graph.node("Max", matrix, graph.row(low)), graph.row(high))
