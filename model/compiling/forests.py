"""Single trees and averages of independent trees."""

from collections.abc import Sequence
from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import with_complement
from model.compiling.graph import Graph
from model.compiling.registry import converts
from model.compiling.tables import Table, stack
from model.compiling.trees import from_sklearn, sum_trees

SINGLE_TREES = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
FORESTS = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)


@converts(DecisionTreeClassifier, ExtraTreeClassifier, method="predict_proba")
def _tree_classifier(step: Any, table: Table, graph: Graph) -> Table:
    return _shares(step, [step], table, graph)


@converts(RandomForestClassifier, ExtraTreesClassifier, method="predict_proba")
def _forest_classifier(step: Any, table: Table, graph: Graph) -> Table:
    return _shares(step, step.estimators_, table, graph)


@converts(DecisionTreeRegressor, ExtraTreeRegressor, method="predict")
def _tree_regressor(step: Any, table: Table, graph: Graph) -> Table:
    return _mean(step, [step], table, graph, 0)


@converts(RandomForestRegressor, ExtraTreesRegressor, method="predict")
def _forest_regressor(step: Any, table: Table, graph: Graph) -> Table:
    return _mean(step, step.estimators_, table, graph, 0)


def _shares(step: Any, trees: Sequence[Any], table: Table, graph: Graph) -> Table:
    n_classes = step.n_classes_
    if step.n_outputs_ != 1:
        raise NotCompilableError("it has several outputs")
    if n_classes == 2:
        second = _mean(step, trees, table, graph, 1)
        both = graph.table(with_complement(graph, graph.matrix(second)), 2, blur=1.0)
        return stack([both.select([0]), second])
    return _mean(step, trees, table, graph, *range(n_classes))


def _mean(step: Any, trees: Sequence[Any], table: Table, graph: Graph, *outputs: int) -> Table:
    """Add up the trees in their order and divide, as scikit-learn does, so a tie stays a tie."""
    if step.n_outputs_ != 1:
        raise NotCompilableError("it has several outputs")
    if not _takes_missing(step):
        graph.refuse_missing(table)
    read = [from_sklearn(tree, tree.tree_.value[:, 0, output]) for tree in trees for output in outputs]
    targets = [target for _ in trees for target in range(len(outputs))]
    total = sum_trees(graph, table, read, targets, len(outputs))
    if len(trees) > 1:
        total = graph.node("Div", total, graph.constant([[float(len(trees))]]))
    return graph.table(total, len(outputs))


def _takes_missing(step: Any) -> bool:
    return bool(step.__sklearn_tags__().input_tags.allow_nan) and step.monotonic_cst is None
