"""Decision trees and what sums them up: forests and boosted trees.

Trees run in TreeEnsemble of ai.onnx.ml 5, thresholds and sums in double precision. scikit-learn's own trees
round each value to float32 before they compare it with a float64 threshold; that comparison is the same as
one of the unrounded value with a slightly moved threshold, which ``float32_thresholds`` finds, so no bit is
lost and nothing is cast. Histogram gradient boosting compares doubles and knows sets of categories.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.compiling.graph import Graph
from model.compiling.piecewise import doubt_near
from model.compiling.tables import Table
from model.compiling.words import ML, Floats

LEQ, MEMBER = 0, 6

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Tree:
    """One fitted tree, arrays of length n_nodes; the root is node 0.

    Attributes
    ----------
    left, right : ndarray of int
        Children; read only where ``is_leaf`` is False.
    feature : ndarray of int
    threshold : ndarray of float
        Values up to it go left.
    missing_left : ndarray of bool
        Whether NaN goes left.
    is_leaf : ndarray of bool
    value : ndarray of float, shape (n_nodes,)
        What a leaf adds.
    members : dict of int to ndarray of float
        For nodes that ask for membership instead: the values that go left.
    """

    left: Ints
    right: Ints
    feature: Ints
    threshold: Floats
    missing_left: Flags
    is_leaf: Flags
    value: Floats
    members: dict[int, Floats]

    @property
    def n_leaves(self) -> int:
        """How many leaves there are."""
        return int(self.is_leaf.sum())


def from_sklearn(estimator: Any, value: Floats) -> Tree:
    """Read a fitted DecisionTree*; ``value`` has what each node adds."""
    nodes = estimator.tree_.__getstate__()["nodes"]
    return Tree(
        left=nodes["left_child"].astype(np.int64),
        right=nodes["right_child"].astype(np.int64),
        feature=nodes["feature"].astype(np.int64),
        threshold=float32_thresholds(nodes["threshold"].astype(np.float64)),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        is_leaf=nodes["left_child"] == -1,
        value=np.asarray(value, dtype=np.float64),
        members={},
    )


def float32_thresholds(thresholds: Floats) -> Floats:
    """Return doubles t' such that ``x <= t'`` says of any double x what ``float32(x) <= t`` says.

    With f the largest float32 up to t and g the next one, float32(x) <= t holds up to the middle of f and
    g, and in the middle itself if f is the even one of the two (IEEE 754 rounds ties to even).

    >>> t = np.array([0.1])
    >>> x = np.nextafter(float32_thresholds(t), [-1.0, 1.0])
    >>> x.astype(np.float32) <= t
    array([ True, False])
    """
    finite = np.where(np.isfinite(thresholds), thresholds, 0.0)
    moved = _moved(finite)
    # An infinite threshold asks only whether the value is missing.
    return np.where(np.isfinite(thresholds), moved, thresholds)


def _moved(thresholds: Floats) -> Floats:
    below = thresholds.astype(np.float32)
    below = np.where(below > thresholds, np.nextafter(below, np.float32(-np.inf)), below)
    above = np.nextafter(below, np.float32(np.inf))
    middle = below.astype(np.float64) + (above.astype(np.float64) - below.astype(np.float64)) / 2
    is_even = below.view(np.uint32) % 2 == 0
    return np.where(is_even, middle, np.nextafter(middle, -np.inf))


def sum_trees(
    graph: Graph, table: Table, trees: Sequence[Tree], targets: Sequence[int], n_targets: int
) -> str:
    """Return for each target the sum of its trees' values, shape (n_rows, n_targets), added in that order.

    Rows whose blurred columns come within their rounding of a threshold are in doubt.
    """
    doubt_near(graph, table, _edges(trees, table.n_columns))
    matrix, places = graph.loose_matrix(table, is_whole=True)
    attributes = _attributes(trees, targets, np.asarray(places))
    return graph.node("TreeEnsemble", matrix, domain=ML, n_targets=n_targets, **attributes)


def _edges(trees: Sequence[Tree], n_columns: int) -> list[Floats]:
    asks = [~tree.is_leaf for tree in trees]
    features = np.concatenate([tree.feature[ask] for tree, ask in zip(trees, asks, strict=True)])
    thresholds = np.concatenate([tree.threshold[ask] for tree, ask in zip(trees, asks, strict=True)])
    return [np.unique(thresholds[features == column]) for column in range(n_columns)]


def _attributes(trees: Sequence[Tree], targets: Sequence[int], places: Ints) -> dict[str, Any]:
    parts = []
    n_nodes = n_leaves = 0
    for tree, target in zip(trees, targets, strict=True):
        if tree.is_leaf[0]:
            tree = _with_question(tree)
        parts.append(_arrays(tree, target, n_nodes, n_leaves))
        n_nodes += len(tree.is_leaf) - tree.n_leaves
        n_leaves += tree.n_leaves
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    joined["nodes_featureids"] = places[joined["nodes_featureids"]]
    members = joined.pop("membership_values")
    attributes = {name: _plain(name, values) for name, values in joined.items()}
    if len(members):
        attributes["membership_values"] = members
    return {"aggregate_function": 1, "post_transform": 0, **attributes}


# Attributes that are tensors; all others are lists of whole numbers.
_TENSORS = ("nodes_splits", "nodes_modes", "leaf_weights")


def _plain(name: str, values: NDArray[Any]) -> Any:
    return values if name in _TENSORS else values.tolist()


def _with_question(tree: Tree) -> Tree:
    """Give a tree that is one leaf a question that does not matter, since the operator wants one."""
    return Tree(
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        feature=np.zeros(3, dtype=np.int64),
        threshold=np.zeros(3),
        missing_left=np.zeros(3, dtype=bool),
        is_leaf=np.array([False, True, True]),
        value=np.repeat(tree.value[:1], 3),
        members={},
    )


def _arrays(tree: Tree, target: int, first_node: int, first_leaf: int) -> dict[str, NDArray[Any]]:
    asks = ~tree.is_leaf
    number = np.where(
        tree.is_leaf, np.cumsum(tree.is_leaf) - 1 + first_leaf, np.cumsum(asks) - 1 + first_node
    )
    left, right = tree.left[asks], tree.right[asks]
    is_member = np.isin(np.flatnonzero(asks), list(tree.members))
    return {
        "tree_roots": np.array([number[0]]),
        "nodes_featureids": tree.feature[asks],
        "nodes_splits": np.where(is_member, 0.0, tree.threshold[asks]),
        "nodes_modes": np.where(is_member, MEMBER, LEQ).astype(np.uint8),
        "nodes_missing_value_tracks_true": tree.missing_left[asks].astype(np.int64),
        "nodes_truenodeids": number[left],
        "nodes_trueleafs": tree.is_leaf[left].astype(np.int64),
        "nodes_falsenodeids": number[right],
        "nodes_falseleafs": tree.is_leaf[right].astype(np.int64),
        "leaf_targetids": np.full(tree.n_leaves, target),
        "leaf_weights": tree.value[tree.is_leaf],
        "membership_values": _members(tree),
    }


def _members(tree: Tree) -> Floats:
    """Return the sets of all member nodes in their order, each closed by NaN."""
    sets = [
        np.append(values if len(values) else [-1.0], np.nan) for _, values in sorted(tree.members.items())
    ]
    return np.concatenate(sets) if sets else np.empty(0)
