"""Nearest neighbours, exact where scikit-learn's answer is determined.

Which of several equally distant training rows count is up to the order of scikit-learn's search tree. So the
rows around the k-th distance are treated as one group: where all of them say the same, or all of them
count, the answer is determined; else the row is in doubt and the pipeline itself answers.
"""

from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from model.compiling.distances import manhattan, squared_differences, squared_euclidean
from model.compiling.errors import NotCompilableError
from model.compiling.formulas import number, one, row_max, row_min, row_sum
from model.compiling.graph import Graph
from model.compiling.registry import converts
from model.compiling.tables import Table
from model.compiling.words import Floats

# Distances closer than this, relative to the squared norms, count as tied; rounding stays far below it.
TIE = 1e-11

# So many points more than k are looked at, for ties.
SPARE = 24


@converts(KNeighborsClassifier, method="predict_proba")
def _classifier(step: Any, table: Table, graph: Graph) -> Table:
    n_classes = len(step.classes_)
    labels = np.eye(n_classes)[np.asarray(step._y).ravel()]
    return graph.table(_mean_of_nearest(step, table, graph, labels), n_classes, blur=1.0)


@converts(KNeighborsRegressor, method="predict")
def _regressor(step: Any, table: Table, graph: Graph) -> Table:
    targets = np.asarray(step._y, dtype=np.float64).reshape(step.n_samples_fit_, -1)
    if targets.shape[1] != 1:
        raise NotCompilableError("it has several outputs")
    return graph.table(
        _mean_of_nearest(step, table, graph, targets), 1, blur=1.0 + float(np.abs(targets).max())
    )


def _mean_of_nearest(step: Any, table: Table, graph: Graph, targets: Floats) -> str:
    """Return the (weighted) mean of the targets of the k nearest points, shape (n_rows, n_targets)."""
    graph.refuse_missing(table)
    distances, slack = _distances(step, table, graph)
    near, which = _candidates(step, graph, distances, slack)
    limit = graph.take(near, [step.n_neighbors - 1])
    below = number(graph, graph.node("Less", near, graph.node("Sub", limit, slack)))
    within = number(graph, graph.node("LessOrEqual", near, graph.node("Add", limit, slack)))
    tied = graph.node("Sub", within, below)
    n_open = graph.node("Sub", graph.constant([[float(step.n_neighbors)]]), row_sum(graph, below))
    _doubt_split_tie(graph, tied, n_open, which, targets)
    share = graph.node("Div", n_open, row_sum(graph, tied))
    counted = graph.node("Add", below, graph.node("Mul", tied, share))
    weights = counted if step.weights == "uniform" else _inverse_distances(step, graph, counted, near)
    return _weighted_mean(graph, weights, which, targets)


def _candidates(step: Any, graph: Graph, distances: str, slack: str) -> tuple[str, str]:
    """Return distances and positions of the k nearest points and some more, in which all ties should be."""
    n_points = step.n_samples_fit_
    n_kept = min(step.n_neighbors + SPARE, n_points)
    near, which = graph.pair("TopK", distances, graph.constant([n_kept], np.int64), axis=1, largest=0)
    if n_kept < n_points:
        limit = graph.node("Add", graph.take(near, [step.n_neighbors - 1]), slack)
        graph.doubt(graph.node("LessOrEqual", graph.take(near, [n_kept - 1]), limit))
    return near, which


def _doubt_split_tie(graph: Graph, tied: str, n_open: str, which: str, targets: Floats) -> None:
    """Be in doubt where only some of the tied points count, and they do not all say the same."""
    is_split = graph.node("Greater", row_sum(graph, tied), graph.node("Add", n_open, graph.constant([[0.5]])))
    codes = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1).astype(np.float64)
    highest = codes.max()
    up, down = (graph.node("Gather", graph.constant(c), which) for c in (codes + 1.0, highest + 1.0 - codes))
    high, low = (row_max(graph, graph.node("Mul", tied, part)) for part in (up, down))
    # All the same code c: the maxima are c + 1 and highest - c + 1; any other code makes one of them larger.
    is_mixed = graph.node("Greater", graph.node("Add", high, low), graph.constant([[highest + 2.5]]))
    graph.doubt(graph.node("And", is_split, is_mixed))


def _inverse_distances(step: Any, graph: Graph, counted: str, distances: str) -> str:
    """Return 1 / distance for the points that count; where some are at distance 0, 1 for those alone."""
    is_zero = graph.node("Equal", distances, graph.constant([[0.0]]))
    lengths = distances if _is_manhattan(step) else graph.node("Sqrt", distances)
    inverse = graph.node("Div", counted, graph.node("Where", is_zero, one(graph), lengths))
    zeros = graph.node("Mul", counted, number(graph, is_zero))
    has_zero = graph.node("Greater", row_max(graph, zeros), graph.constant([[0.0]]))
    return graph.node("Where", has_zero, zeros, inverse)


def _weighted_mean(graph: Graph, weights: str, which: str, targets: Floats) -> str:
    columns = [graph.node("Gather", graph.constant(column), which) for column in targets.T]
    sums = [row_sum(graph, graph.node("Mul", weights, column)) for column in columns]
    total = sums[0] if len(sums) == 1 else graph.node("Concat", *sums, axis=1)
    return graph.node("Div", total, row_sum(graph, weights))


def _is_manhattan(step: Any) -> bool:
    return bool(step.effective_metric_ == "manhattan")


def _distances(step: Any, table: Table, graph: Graph) -> tuple[str, str]:
    """Return distances (squared for the Euclidean one), and within how much of each other they are ties."""
    points = step._fit_X
    points = np.asarray(points.toarray() if hasattr(points, "toarray") else points, dtype=np.float64)
    matrix = graph.matrix(table)
    size = float((points * points).sum(axis=1).max())
    norms = row_sum(graph, graph.node("Mul", matrix, matrix))
    if _is_manhattan(step):
        found, size, norms = manhattan(graph, matrix, points), float(np.sqrt(size)), graph.node("Sqrt", norms)
    elif step.effective_metric_ != "euclidean":
        raise NotCompilableError(f"metric={step.effective_metric_!r}")
    else:
        measure = squared_euclidean if step.weights == "uniform" else squared_differences
        found = measure(graph, matrix, points)
    slack = graph.node("Mul", graph.node("Add", norms, graph.constant([[size]])), graph.constant([[TIE]]))
    _doubt_nearly_zero(step, table, graph, found, slack)
    return found, slack


def _doubt_nearly_zero(step: Any, table: Table, graph: Graph, found: str, slack: str) -> None:
    """Be in doubt where weights are the inverse of a distance that is all rounding."""
    if step.weights == "uniform":
        return
    if step.weights != "distance":
        raise NotCompilableError(f"weights={step.weights!r}")
    if table.blur or step._fit_method == "brute":
        nearest = row_min(graph, found)
        graph.doubt(graph.node("Less", nearest, graph.node("Mul", slack, graph.constant([[100.0]]))))
