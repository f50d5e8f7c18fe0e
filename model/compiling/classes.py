"""From scores to a predicted class, as classifiers do it that are asked for their prediction only.

A class jumps, so rows whose scores are blurred and too close to call are in doubt.
"""

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import best_class, linear, number
from model.compiling.graph import Graph
from model.compiling.piecewise import ROUNDING, pick
from model.compiling.registry import convert, find
from model.compiling.tables import Table


def prediction(step: Any, table: Table, graph: Graph) -> Table:
    """Return what ``step`` predicts: a value, or the position of a class."""
    if is_classifier(step):
        return class_positions(step, table, graph)
    return convert(step, "predict", table, graph)


def class_positions(step: Any, table: Table, graph: Graph) -> Table:
    """Return one column: the position in ``classes_`` of the class that ``step`` predicts."""
    if find(type(step), "predict") is not None:
        return convert(step, "predict", table, graph)
    if hasattr(step, "decision_function"):
        return _from_decision(convert(step, "decision_function", table, graph), graph)
    return _from_scores(convert(step, "predict_proba", table, graph), graph)


def class_labels(step: Any, table: Table, graph: Graph) -> Table:
    """Return one column: the label itself, for classes that are numbers."""
    classes = np.asarray(step.classes_)
    if classes.dtype.kind not in "biuf":
        raise NotCompilableError("predicted labels that are text go into a later step")
    positions = graph.matrix(class_positions(step, table, graph))
    if np.array_equal(classes, np.arange(len(classes))):
        return graph.table(positions, 1)
    return graph.table(pick(graph, [classes.astype(np.float64)], positions), 1)


def aligned(scores: Table, have: Any, want: Any, graph: Graph) -> Table:
    """Return the columns of classes ``want``, 0 for those that a step never saw."""
    have, want = list(have), list(want)
    if have == want:
        return scores
    places = np.array([[float(mine == other) for other in want] for mine in have])
    return graph.table(linear(graph, graph.matrix(scores), places, [0.0]), len(want), blur=scores.blur)


def _from_decision(decision: Table, graph: Graph) -> Table:
    if decision.n_columns > 1:
        return _from_scores(decision, graph)
    matrix = graph.matrix(decision)
    if decision.blur:
        close = graph.constant([[ROUNDING * decision.blur]])
        graph.doubt(graph.node("Less", graph.node("Abs", matrix), close))
    return graph.table(number(graph, graph.node("Greater", matrix, graph.constant([[0.0]]))), 1)


def _from_scores(scores: Table, graph: Graph) -> Table:
    matrix = graph.matrix(scores)
    if scores.blur and scores.n_columns > 1:
        best, _ = graph.pair("TopK", matrix, graph.constant([2], np.int64), axis=1)
        gap = linear(graph, best, [[1.0], [-1.0]], [0.0])
        graph.doubt(graph.node("Less", gap, graph.constant([[ROUNDING * scores.blur]])))
    return graph.table(best_class(graph, matrix), 1)
