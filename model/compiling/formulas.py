"""Small formulas in terms of nodes, shared by the converters.

They take and return names of tensors of shape (n_rows, k). Where ONNX Runtime has no kernel for doubles
(log1p, the normal quantile, softplus), the formula is spelled out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from onnx import TensorProto

from model.compiling.graph import ML, Floats, Graph
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


def count_edges(graph: Graph, matrix: str, edges: Sequence[Floats], *, is_right: bool) -> str:
    """Count, for each column, its edges below a value (``is_right``: or equal to it).

    Binary search written as decision trees: logarithmic in the number of edges. NaN counts all of them.

    Parameters
    ----------
    matrix : str
        Tensor of shape (n_rows, n_columns).
    edges : sequence of ndarray
        Sorted edges of each column; none means 0 for all.
    """
    search = _Search("LT" if is_right else "LEQ")
    for column, column_edges in enumerate(edges):
        search.add(column, np.asarray(column_edges, dtype=np.float64))
    return graph.node("TreeEnsemble", matrix, domain=ML, n_targets=len(edges), **search.attributes())


_MODES = {"LEQ": 0, "LT": 1}


class _Search:
    """Balanced search trees, one a column, in the shape that TreeEnsemble wants."""

    def __init__(self, mode: str) -> None:
        self.mode = _MODES[mode]
        self.nodes: list[list[int]] = []  # feature, true id, true is leaf, false id, false is leaf
        self.splits: list[float] = []
        self.leaves: list[tuple[int, float]] = []
        self.roots: list[int] = []

    def add(self, column: int, edges: Floats) -> None:
        if len(edges) == 0:
            edges = np.asarray([np.inf])
        self.roots.append(self._grow(column, edges, 0, len(edges)))

    def _grow(self, column: int, edges: Floats, low: int, high: int) -> int:
        middle = (low + high) // 2
        position = len(self.nodes)
        node = [column, 0, 0, 0, 0]
        self.nodes.append(node)
        self.splits.append(float(edges[middle]))
        node[1:3] = self._branch(column, edges, low, middle)
        node[3:5] = self._branch(column, edges, middle + 1, high)
        return position

    def _branch(self, column: int, edges: Floats, low: int, high: int) -> tuple[int, int]:
        if low < high:
            return self._grow(column, edges, low, high), 0
        self.leaves.append((column, float(low)))
        return len(self.leaves) - 1, 1

    def attributes(self) -> dict[str, object]:
        feature, true, is_true_leaf, false, is_false_leaf = (
            list(part) for part in zip(*self.nodes, strict=True)
        )
        return {
            "aggregate_function": 1,
            "post_transform": 0,
            "tree_roots": self.roots,
            "nodes_featureids": feature,
            "nodes_splits": np.asarray(self.splits),
            "nodes_modes": np.full(len(feature), self.mode, dtype=np.uint8),
            "nodes_truenodeids": true,
            "nodes_trueleafs": is_true_leaf,
            "nodes_falsenodeids": false,
            "nodes_falseleafs": is_false_leaf,
            "leaf_targetids": [target for target, _ in self.leaves],
            "leaf_weights": np.asarray([weight for _, weight in self.leaves]),
        }


def pick(graph: Graph, choices: Sequence[Floats], positions: str) -> str:
    """Return ``choices[column][position]`` for whole positions of shape (n_rows, n_columns)."""
    starts = np.concatenate([[0], np.cumsum([len(values) for values in choices])[:-1]])
    indexes = whole(graph, positions)
    if len(choices) > 1:
        indexes = graph.node("Add", indexes, graph.constant(starts.reshape(1, -1), np.int64))
    return graph.node("Gather", graph.constant(np.concatenate(choices)), indexes)


# Next to a jump, values that carry rounding are trusted no closer than this, times their size.
ROUNDING = 2.0**-40


def doubt_near(graph: Graph, table: Table, edges: Sequence[Floats]) -> None:
    """Abstain in rows where a blurred column is within its rounding of one of its edges."""
    blurred = [i for i, column in enumerate(table.columns) if column.blur and len(edges[i])]
    if not blurred:
        return
    size = max(float(np.abs(edges[i]).max()) for i in blurred)
    reach = graph.row([ROUNDING * (table.columns[i].blur + size) for i in blurred])
    matrix = graph.matrix(table.select(blurred))
    sides = [graph.node(op, matrix, reach) for op in ("Sub", "Add")]
    chosen = [np.unique(edges[i]) for i in blurred]
    low, high = (count_edges(graph, side, chosen, is_right=False) for side in sides)
    graph.doubt(graph.node("Greater", high, low))


@dataclass(frozen=True)
class Knots:
    """A piecewise linear function: its value before, at and after each x; it may jump there.

    Attributes
    ----------
    x : ndarray
        Increasing, at least two.
    before, at, after : ndarray
        Values as x is approached from below, at x itself, and as it is left upwards.
    """

    x: Floats
    before: Floats
    at: Floats
    after: Floats

    @property
    def slopes(self) -> Floats:
        """Rise by run of each segment."""
        return np.asarray((self.before[1:] - self.after[:-1]) / np.diff(self.x), dtype=np.float64)

    @property
    def jumps(self) -> Floats:
        """The x at which the function jumps."""
        return np.asarray(self.x[(self.at != self.before) | (self.at != self.after)], dtype=np.float64)


def interpolate(graph: Graph, table: Table, functions: Sequence[Knots]) -> str:
    """Apply to each column its piecewise linear function, flat outside of the knots.

    Rows in which the rounding of a blurred input would show are in doubt.
    """
    doubt_near(graph, table, [knots.jumps for knots in functions])
    inside = clipped(graph, graph.matrix(table), [k.x[0] for k in functions], [k.x[-1] for k in functions])
    position = count_edges(graph, inside, [k.x[1:-1] for k in functions], is_right=True)
    _doubt_steep(graph, table, [k.slopes for k in functions], position)
    start = pick(graph, [k.x[:-1] for k in functions], position)
    rise = graph.node(
        "Mul", graph.node("Sub", inside, start), pick(graph, [k.slopes for k in functions], position)
    )
    value = graph.node("Add", rise, pick(graph, [k.after[:-1] for k in functions], position))
    if not any(len(k.jumps) for k in functions):
        return value
    is_knot = graph.node("Equal", inside, start)
    return graph.node("Where", is_knot, pick(graph, [k.at[:-1] for k in functions], position), value)


def _doubt_steep(graph: Graph, table: Table, slopes: Sequence[Floats], position: str) -> None:
    blurs = [column.blur for column in table.columns]
    flags = [np.abs(s) * blur * ROUNDING > 1e-8 for s, blur in zip(slopes, blurs, strict=True)]
    if any(flag.any() for flag in flags):
        steep = pick(graph, [flag.astype(np.float64) for flag in flags], position)
        graph.doubt(graph.node("Greater", steep, graph.constant([[0.5]])))
