"""Gradient boosting, by histograms and by exact splits."""

from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import linear, softmax
from model.compiling.graph import Graph
from model.compiling.registry import convert, converts
from model.compiling.tables import Table
from model.compiling.trees import Tree, from_sklearn, sum_trees
from model.compiling.words import Floats


@converts(HistGradientBoostingClassifier, HistGradientBoostingRegressor, method="decision_function")
def _histogram_decision(step: Any, table: Table, graph: Graph) -> Table:
    total, base = _histogram_sum(step, table, graph)
    return graph.table(graph.node("Add", total, graph.constant(base)), base.size, blur=_size(base))


@converts(HistGradientBoostingClassifier, method="predict_proba")
def _histogram_probabilities(step: Any, table: Table, graph: Graph) -> Table:
    return _probabilities(graph, *_histogram_sum(step, table, graph))


@converts(HistGradientBoostingRegressor, method="predict")
def _histogram_prediction(step: Any, table: Table, graph: Graph) -> Table:
    raw = convert(step, "decision_function", table, graph)
    link = type(step._loss.link).__name__
    if link == "IdentityLink":
        return raw
    if link == "LogLink":
        return graph.table(graph.node("Exp", graph.matrix(raw)), 1, blur=1.0)
    raise NotCompilableError(f"unknown link {link}")


def _histogram_sum(step: Any, table: Table, graph: Graph) -> tuple[str, Floats]:
    if step._preprocessor is not None:
        table = convert(step._preprocessor, "transform", table, graph)
    trees, targets, base = histogram_boosted(step, table.n_columns)
    return sum_trees(graph, table, trees, targets, base.size), base


def histogram_boosted(step: Any, n_columns: int) -> tuple[list[Tree], list[int], Floats]:
    """Return the trees, the output that each adds to, and what outputs are before the first tree."""
    pairs = [(_from_histogram(p), k) for iteration in step._predictors for k, p in enumerate(iteration)]
    base = np.asarray(step._baseline_prediction, dtype=np.float64).reshape(1, -1)
    return [tree for tree, _ in pairs], [target for _, target in pairs], base


def _from_histogram(predictor: Any) -> Tree:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    chosen = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf)
    sets = predictor.raw_left_cat_bitsets
    return Tree(
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        is_leaf=is_leaf,
        value=nodes["value"].astype(np.float64),
        members={int(i): _categories(sets[nodes["bitset_idx"][i]]) for i in chosen},
    )


def _categories(bitset: Any) -> Floats:
    """Return the whole numbers 0..255 whose bits are set in eight 32-bit words."""
    bits = np.unpackbits(np.asarray(bitset, dtype="<u4").view(np.uint8), bitorder="little")
    return np.flatnonzero(bits).astype(np.float64)


@converts(GradientBoostingClassifier, GradientBoostingRegressor, method="decision_function")
def _boosting_decision(step: Any, table: Table, graph: Graph) -> Table:
    total, base = _boosting_sum(step, table, graph)
    return graph.table(graph.node("Add", total, graph.constant(base)), base.size, blur=_size(base))


@converts(GradientBoostingRegressor, method="predict")
def _boosting_prediction(step: Any, table: Table, graph: Graph) -> Table:
    return convert(step, "decision_function", table, graph)


@converts(GradientBoostingClassifier, method="predict_proba")
def _boosting_probabilities(step: Any, table: Table, graph: Graph) -> Table:
    # The exponential loss has half the logit as its raw score.
    factor = 2.0 if step.loss == "exponential" else 1.0
    return _probabilities(graph, *_boosting_sum(step, table, graph), factor)


def _boosting_sum(step: Any, table: Table, graph: Graph) -> tuple[str, Floats]:
    graph.refuse_missing(table)
    trees, targets, base = boosted(step, table.n_columns)
    return sum_trees(graph, table, trees, targets, base.size), base


def boosted(step: Any, n_columns: int) -> tuple[list[Tree], list[int], Floats]:
    """Return the same as ``histogram_boosted``."""
    trees, targets = [], []
    for stage in step.estimators_:
        for target, estimator in enumerate(stage):
            trees.append(from_sklearn(estimator, step.learning_rate * estimator.tree_.value[:, 0, 0]))
            targets.append(target)
    return trees, targets, _initial(step, n_columns)


def _initial(step: Any, n_columns: int) -> Floats:
    """Return the raw score before the first tree, which must not depend on the row."""
    if step.init_ != "zero" and not isinstance(step.init_, DummyClassifier | DummyRegressor):
        raise NotCompilableError(f"it starts from {type(step.init_).__name__}, which depends on the row")
    base: Floats = step._raw_predict_init(np.zeros((1, n_columns), dtype=np.float32))
    return base.reshape(1, -1)


# --- links ---------------------------------------------------------------------------------------------


def _probabilities(graph: Graph, total: str, base: Floats, factor: float = 1.0) -> Table:
    if base.size > 1:
        raw = graph.node("Add", total, graph.constant(base))
        return graph.table(softmax(graph, raw), base.size, blur=1.0)
    sides = factor * np.array([[-1.0, 1.0]])
    return graph.table(graph.node("Sigmoid", linear(graph, total, sides, sides * base)), 2, blur=1.0)


def _size(base: Floats) -> float:
    return 1.0 + float(np.abs(base).max())
