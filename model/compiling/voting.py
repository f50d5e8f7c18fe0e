"""Models that ask several others: voting, stacking, bagging, AdaBoost, one-against-rest."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.multiclass import OneVsRestClassifier

from model.compiling.classes import aligned, class_labels, class_positions
from model.compiling.errors import NotCompilableError
from model.compiling.formulas import (
    best_class,
    is_class,
    linear,
    normalised,
    number,
    row_sum,
    softmax,
    whole,
    with_complement,
)
from model.compiling.graph import Graph
from model.compiling.registry import convert, converts
from model.compiling.tables import Table, stack


def _weighted_sum(graph: Graph, matrices: Sequence[str], weights: Sequence[float] | None) -> str:
    """Add matrices up in their order."""
    if weights is not None:
        pairs = zip(matrices, weights, strict=True)
        matrices = [graph.node("Mul", matrix, graph.constant([[float(weight)]])) for matrix, weight in pairs]
    total = matrices[0]
    for matrix in matrices[1:]:
        total = graph.node("Add", total, matrix)
    return total


def _mean(graph: Graph, matrices: Sequence[str], weights: Sequence[float] | None = None) -> str:
    divisor = float(len(matrices) if weights is None else np.sum(weights))
    return graph.node("Div", _weighted_sum(graph, matrices, weights), graph.constant([[divisor]]))


def _blur(tables: Iterable[Table]) -> float:
    return 1.0 + max(table.blur for table in tables)


# --- voting --------------------------------------------------------------------------------------------


@converts(VotingClassifier, method="predict_proba")
def _soft_vote(step: Any, table: Table, graph: Graph) -> Table:
    parts = [convert(inner, "predict_proba", table, graph) for inner in step.estimators_]
    mean = _mean(graph, [graph.matrix(part) for part in parts], step._weights_not_none)
    return graph.table(mean, len(step.classes_), blur=1.0)


@converts(VotingClassifier, method="predict")
def _vote(step: Any, table: Table, graph: Graph) -> Table:
    n_classes = len(step.classes_)
    if step.voting == "soft":
        return graph.table(best_class(graph, graph.matrix(_soft_vote(step, table, graph))), 1)
    votes = [class_labels(inner, table, graph) for inner in step.estimators_]
    flags = [is_class(graph, graph.matrix(vote), n_classes) for vote in votes]
    return graph.table(best_class(graph, _weighted_sum(graph, flags, step._weights_not_none)), 1)


@converts(VotingRegressor, method="predict")
def _average(step: Any, table: Table, graph: Graph) -> Table:
    parts = [convert(inner, "predict", table, graph) for inner in step.estimators_]
    mean = _mean(graph, [graph.matrix(part) for part in parts], step._weights_not_none)
    return graph.table(mean, 1, blur=_blur(parts))


# --- stacking ------------------------------------------------------------------------------------------


def _stacked(step: Any, table: Table, graph: Graph, is_binary: bool) -> Table:
    parts = []
    inners = [inner for inner in step.estimators_ if not (isinstance(inner, str) and inner == "drop")]
    for inner, method in zip(inners, step.stack_method_, strict=True):
        part = _opinion(inner, method, table, graph)
        parts.append(part.select([1]) if method == "predict_proba" and is_binary else part)
    return stack([*parts, table]) if step.passthrough else stack(parts)


def _opinion(inner: Any, method: str, table: Table, graph: Graph) -> Table:
    if method == "predict" and hasattr(inner, "classes_"):
        return class_labels(inner, table, graph)
    return convert(inner, method, table, graph)


@converts(StackingClassifier, method="predict_proba")
def _stacked_classifier(step: Any, table: Table, graph: Graph) -> Table:
    inputs = _stacked(step, table, graph, len(step.classes_) == 2)
    return convert(step.final_estimator_, "predict_proba", inputs, graph)


@converts(StackingClassifier, method="decision_function")
def _stacked_decision(step: Any, table: Table, graph: Graph) -> Table:
    inputs = _stacked(step, table, graph, len(step.classes_) == 2)
    return convert(step.final_estimator_, "decision_function", inputs, graph)


@converts(StackingClassifier, method="predict")
def _stacked_class(step: Any, table: Table, graph: Graph) -> Table:
    inputs = _stacked(step, table, graph, len(step.classes_) == 2)
    return class_positions(step.final_estimator_, inputs, graph)


@converts(StackingRegressor, method="predict")
def _stacked_regressor(step: Any, table: Table, graph: Graph) -> Table:
    return convert(step.final_estimator_, "predict", _stacked(step, table, graph, False), graph)


# --- bagging -------------------------------------------------------------------------------------------


def _members(step: Any, table: Table) -> Iterable[tuple[Any, Table]]:
    for inner, features in zip(step.estimators_, step.estimators_features_, strict=True):
        yield inner, table.select(features)


@converts(BaggingClassifier, method="predict_proba")
def _bagged_classifier(step: Any, table: Table, graph: Graph) -> Table:
    n_classes = step.n_classes_
    parts = []
    for inner, mine in _members(step, table):
        if hasattr(inner, "predict_proba"):
            shares = convert(inner, "predict_proba", mine, graph)
            parts.append(graph.matrix(aligned(shares, inner.classes_, range(n_classes), graph)))
        else:
            labels = graph.matrix(class_labels(inner, mine, graph))
            parts.append(is_class(graph, labels, n_classes))
    return graph.table(_mean(graph, parts), n_classes, blur=1.0)


@converts(BaggingRegressor, method="predict")
def _bagged_regressor(step: Any, table: Table, graph: Graph) -> Table:
    parts = [convert(inner, "predict", mine, graph) for inner, mine in _members(step, table)]
    return graph.table(_mean(graph, [graph.matrix(part) for part in parts]), 1, blur=_blur(parts))


# --- AdaBoost ------------------------------------------------------------------------------------------


@converts(AdaBoostClassifier, method="decision_function")
def _boosted_decision(step: Any, table: Table, graph: Graph) -> Table:
    n_classes = step.n_classes_
    weights = step.estimator_weights_[: len(step.estimators_)]
    flags = [_flags(inner, step.classes_, table, graph) for inner in step.estimators_]
    # A vote counts w for its class and -w / (n_classes - 1) for each other one.
    votes = _weighted_sum(graph, flags, weights * n_classes / (n_classes - 1))
    total = graph.node("Sub", votes, graph.constant([[float(weights.sum()) / (n_classes - 1)]]))
    decision = graph.node("Div", total, graph.constant([[float(step.estimator_weights_.sum())]]))
    if n_classes > 2:
        return graph.table(decision, n_classes, blur=1.0)
    return graph.table(linear(graph, decision, [[-1.0], [1.0]], [0.0]), 1, blur=1.0)


def _flags(inner: Any, classes: Any, table: Table, graph: Graph) -> str:
    positions = class_positions(inner, table, graph)
    flags = is_class(graph, graph.matrix(positions), len(inner.classes_))
    return graph.matrix(aligned(graph.table(flags, len(inner.classes_)), inner.classes_, classes, graph))


@converts(AdaBoostClassifier, method="predict_proba")
def _boosted_probabilities(step: Any, table: Table, graph: Graph) -> Table:
    n_classes = step.n_classes_
    decision = graph.matrix(_boosted_decision(step, table, graph))
    if n_classes == 2:
        raw = linear(graph, decision, [[-0.5, 0.5]], [0.0])
    else:
        raw = graph.node("Div", decision, graph.constant([[float(n_classes - 1)]]))
    return graph.table(softmax(graph, raw), n_classes, blur=1.0)


@converts(AdaBoostRegressor, method="predict")
def _weighted_median(step: Any, table: Table, graph: Graph) -> Table:
    """Return the weighted median: the first prediction, sorted, up to which half of the weight lies.

    Predictions that are equal may be sorted either way, which changes neither the value nor the half.
    """
    parts = [convert(inner, "predict", table, graph) for inner in step.estimators_]
    if _blur(parts) > 1.0 and len(parts) > 1:
        raise NotCompilableError("a median of numbers that carry rounding")
    n_parts = len(parts)
    count = graph.constant([n_parts], np.int64)
    matrix = graph.matrix(stack(parts))
    values, order = graph.pair("TopK", matrix, count, axis=1, largest=0, sorted=1)
    weights = graph.node("Gather", graph.constant(step.estimator_weights_[:n_parts]), order)
    lower = graph.node("MatMul", weights, graph.constant(np.triu(np.ones((n_parts, n_parts)))))
    half = 0.5 * float(step.estimator_weights_[:n_parts].sum())
    _doubt_half(graph, lower, half)
    is_below = number(graph, graph.node("Less", lower, graph.constant([[half]])))
    position = whole(graph, row_sum(graph, is_below))
    return graph.table(graph.node("GatherElements", values, position, axis=1), 1)


def _doubt_half(graph: Graph, lower: str, half: float) -> None:
    gap = graph.node("Abs", graph.node("Sub", lower, graph.constant([[half]])))
    graph.doubt(graph.node("Less", gap, graph.constant([[1e-9 * half]])))


# --- one against the rest ------------------------------------------------------------------------------


@converts(OneVsRestClassifier, method="predict_proba")
def _one_against_rest(step: Any, table: Table, graph: Graph) -> Table:
    parts = [convert(inner, "predict_proba", table, graph).select([1]) for inner in step.estimators_]
    shares = graph.matrix(stack(parts))
    if len(parts) == 1:
        return graph.table(with_complement(graph, shares), 2, blur=1.0)
    return graph.table(normalised(graph, shares, 0.0), len(parts), blur=1.0)


@converts(OneVsRestClassifier, method="decision_function")
def _one_against_rest_decision(step: Any, table: Table, graph: Graph) -> Table:
    return stack([convert(inner, "decision_function", table, graph) for inner in step.estimators_])
