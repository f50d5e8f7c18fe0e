"""Functions that jump or bend: searching among edges, interpolating between knots, doubts next to both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.compiling.formulas import clipped, whole
from model.compiling.graph import Graph
from model.compiling.tables import Table
from model.compiling.words import ML, Floats

# Next to a jump, values that carry rounding are trusted no closer than this, times their size.
ROUNDING = 2.0**-40

_MODES = {"LEQ": 0, "LT": 1}


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
