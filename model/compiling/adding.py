"""Pipelines whose score is a sum of trees and weighted columns, taken apart for exact explanations.

Trees, forests and boosted trees are such sums, linear models too, and so are their votes as long as all
members add up on the same scale. What is no sum on any scale (the mean of a forest's and a boosting's
probabilities), or has columns made of several features, gives None.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from model.additive import Additive, Scale
from model.compiling.boosting import boosted, histogram_boosted
from model.compiling.compilation import inputs
from model.compiling.composing import transformed
from model.compiling.errors import NotCompilableError
from model.compiling.forests import FORESTS, SINGLE_TREES
from model.compiling.graph import Graph
from model.compiling.linear import REGRESSORS
from model.compiling.registry import convert
from model.compiling.tables import Column, Table
from model.compiling.trees import Tree, from_sklearn
from model.golden import Golden
from model.predictor import CompiledPredictor, Floats, Texts
from model.tree_walks import Ints, Trees

Flags = NDArray[np.bool_]

# Mixed rows that are looked at, to see which columns depend on which feature.
N_MIXED = 20_000
LOGARITHMS: dict[Any, Scale] = {np.exp: "log_value", np.expm1: "log1p_value"}


@dataclass(frozen=True)
class _Grown:
    """A tree on a table; ``value`` of shape (n_nodes, n_outputs) has what its leaves add."""

    tree: Tree
    value: Floats
    table: Table


@dataclass(frozen=True)
class _Sum:
    """A sum on a scale; ``weighted`` are tables with weights of shape (n_columns, n_outputs)."""

    scale: Scale
    base: Floats
    trees: tuple[_Grown, ...] = ()
    weighted: tuple[tuple[Table, Floats], ...] = ()

    def times(self, factor: float) -> "_Sum":
        """Return the sum of the same terms, each ``factor`` times as large."""
        return replace(
            self,
            base=self.base * factor,
            trees=tuple(replace(one, value=one.value * factor) for one in self.trees),
            weighted=tuple((table, weights * factor) for table, weights in self.weighted),
        )


Reader = Callable[[Any, Table, Graph], _Sum]


def additive_of(
    pipeline: Any, columns: Sequence[str], texts: Sequence[str], golden: Golden
) -> Additive | None:
    """Return a fitted pipeline as a sum, or None where it is none; see ``compile_pipeline``."""
    names = set(texts)
    graph = Graph(len([name for name in columns if name not in names]), len(names & set(columns)))
    try:
        found = _sum(pipeline, inputs(columns, names), graph)
        used = _used(found)
        table = Table(tuple(used))
        # A matrix that comes as it is from the request would not be an output by itself.
        matrix = graph.node("Identity", graph.matrix(table))
        encoder = graph.finish(matrix, table.n_columns, {})
        players = _players(CompiledPredictor(encoder), golden)
    except NotCompilableError:
        return None
    if players is None or not found.trees:
        return None
    return Additive(found.scale, encoder, players, found.base, _weights(found, used), _joined(found, used))


# --- sums of steps -------------------------------------------------------------------------------------


def _sum(step: Any, table: Table, graph: Graph) -> _Sum:
    reader = _READERS.get(type(step))
    if reader is None:
        raise NotCompilableError(f"{type(step).__name__} is no sum of trees")
    return reader(step, table, graph)


def _of_pipeline(step: Any, table: Table, graph: Graph) -> _Sum:
    for _, inner in step.steps[:-1]:
        table = transformed(inner, table, graph)
    return _sum(step.steps[-1][1], table, graph)


def _of_target(step: Any, table: Table, graph: Graph) -> _Sum:
    inner = _sum(step.regressor_, table, graph)
    scale = LOGARITHMS.get(getattr(step.transformer_, "inverse_func", None))
    if scale is None or inner.scale != "value":
        raise NotCompilableError("a target on an unknown scale")
    return replace(inner, scale=scale)


def _of_vote(step: Any, table: Table, graph: Graph) -> _Sum:
    parts = [_sum(inner, table, graph) for inner in step.estimators_]
    scale: Scale = "probability" if is_classifier(step) else "value"
    if any(part.scale != scale for part in parts) or getattr(step, "voting", "soft") != "soft":
        raise NotCompilableError("members that add up on different scales")
    shares = np.ones(len(parts)) if step.weights is None else np.asarray(step._weights_not_none, dtype=float)
    parts = [part.times(float(share)) for part, share in zip(parts, shares / shares.sum(), strict=True)]
    return _Sum(
        scale,
        np.asarray(sum(part.base for part in parts)),
        tuple(tree for part in parts for tree in part.trees),
        tuple(one for part in parts for one in part.weighted),
    )


def _of_forest(step: Any, table: Table, graph: Graph) -> _Sum:
    trees = getattr(step, "estimators_", [step])
    if step.n_outputs_ != 1:
        raise NotCompilableError("several outputs")
    values = [np.asarray(tree.tree_.value[:, 0, :], dtype=np.float64) / len(trees) for tree in trees]
    grown = [
        _Grown(from_sklearn(tree, value[:, 0]), value, table)
        for tree, value in zip(trees, values, strict=True)
    ]
    scale: Scale = "probability" if is_classifier(step) else "value"
    return _Sum(scale, np.zeros(values[0].shape[1]), tuple(grown))


def _of_boosting(step: Any, table: Table, graph: Graph) -> _Sum:
    if getattr(step, "_preprocessor", None) is not None:
        table = convert(step._preprocessor, "transform", table, graph)
    read = histogram_boosted if hasattr(step, "_predictors") else boosted
    trees, targets, base = read(step, table.n_columns)
    factor = 2.0 if getattr(step, "loss", "") == "exponential" else 1.0
    grown = [
        _Grown(tree, _placed(factor * tree.value, target, base.size), table)
        for tree, target in zip(trees, targets, strict=True)
    ]
    return _Sum(_scale(step, base.size), factor * base.reshape(-1), tuple(grown))


def _scale(step: Any, n_outputs: int) -> Scale:
    if is_classifier(step):
        return "log_odds" if n_outputs == 1 else "log_ratio"
    has_logarithm = type(getattr(step._loss, "link", None)).__name__ == "LogLink"
    return "log_value" if has_logarithm else "value"


def _placed(value: Floats, target: int, n_outputs: int) -> Floats:
    found = np.zeros((len(value), n_outputs))
    found[:, target] = value
    return found


def _of_weights(step: Any, table: Table, graph: Graph) -> _Sum:
    weights = np.asarray(step.coef_, dtype=np.float64).reshape(-1, 1)
    base = np.asarray(step.intercept_, dtype=np.float64).reshape(-1)
    return _Sum("value", base, weighted=((table, weights),))


def _of_inner(attribute: str) -> Reader:
    return lambda step, table, graph: _sum(getattr(step, attribute), table, graph)


_READERS: dict[type, Reader] = {
    Pipeline: _of_pipeline,
    GridSearchCV: _of_inner("best_estimator_"),
    RandomizedSearchCV: _of_inner("best_estimator_"),
    FrozenEstimator: _of_inner("estimator"),
    TransformedTargetRegressor: _of_target,
    **dict.fromkeys((VotingClassifier, VotingRegressor), _of_vote),
    **dict.fromkeys((*FORESTS, *SINGLE_TREES), _of_forest),
    **dict.fromkeys((GradientBoostingClassifier, GradientBoostingRegressor), _of_boosting),
    **dict.fromkeys((HistGradientBoostingClassifier, HistGradientBoostingRegressor), _of_boosting),
    **dict.fromkeys(REGRESSORS, _of_weights),
}


# --- all terms on the same columns ---------------------------------------------------------------------


def _used(found: _Sum) -> list[Column]:
    """Return the columns that any term asks for."""
    asked = [
        one.table.columns[i] for one in found.trees for i in np.unique(one.tree.feature[~one.tree.is_leaf])
    ]
    asked += [column for table, _ in found.weighted for column in table.columns]
    if not asked:
        raise NotCompilableError("no column is asked for")
    return list(dict.fromkeys(asked))


def _weights(found: _Sum, used: Sequence[Column]) -> Floats:
    place = {column: i for i, column in enumerate(used)}
    total = np.zeros((len(used), found.base.size))
    for table, weights in found.weighted:
        np.add.at(total, [place[column] for column in table.columns], weights)
    return total


def _joined(found: _Sum, used: Sequence[Column]) -> Trees:
    """Put all nodes behind each other."""
    if any(one.tree.members for one in found.trees):
        raise NotCompilableError("sets of categories")
    place = {column: i for i, column in enumerate(used)}
    sizes = [len(one.tree.is_leaf) for one in found.trees]
    starts = np.cumsum([0, *sizes[:-1]])
    pairs = list(zip(found.trees, starts, strict=True))
    return Trees(
        left=np.concatenate([one.tree.left + start for one, start in pairs]).astype(np.int32),
        right=np.concatenate([one.tree.right + start for one, start in pairs]).astype(np.int32),
        column=np.concatenate([_places(one, place) for one in found.trees]),
        threshold=np.concatenate([one.tree.threshold for one in found.trees]),
        missing_left=np.concatenate([one.tree.missing_left for one in found.trees]),
        value=np.concatenate([one.value for one in found.trees]),
        roots=starts.astype(np.int64),
    )


def _places(one: _Grown, place: dict[Column, int]) -> Ints:
    """Return the place of the column that each node asks for, -1 at leaves."""
    columns = one.table.columns
    asked = zip(one.tree.feature.tolist(), one.tree.is_leaf.tolist(), strict=True)
    return np.array([-1 if is_leaf else place[columns[i]] for i, is_leaf in asked], dtype=np.int32)


# --- which feature a column is made of -----------------------------------------------------------------


def _players(encoder: CompiledPredictor, golden: Golden) -> Ints | None:
    """Return the one feature that each column depends on, None if a column depends on several.

    Rows are tried with the values of other rows in each feature in turn. A column that depends on none counts
    for the first.
    """
    numbers, texts = golden.numbers, golden.texts
    width = numbers.shape[1]
    n_players = width + (0 if texts is None else texts.shape[1])
    rng = np.random.default_rng(n_players)
    rows = rng.permutation(len(numbers))[: max(8, N_MIXED // n_players)]
    numbers, texts = numbers[rows], None if texts is None else texts[rows]
    before = encoder.own_scores(numbers, texts)
    depends = np.array(
        [_changed(encoder, before, *_swapped(numbers, texts, player, rng)) for player in range(n_players)]
    )
    return None if (depends.sum(axis=0) > 1).any() else np.asarray(depends.argmax(axis=0))


def _swapped(
    numbers: Floats, texts: Texts | None, player: int, rng: np.random.Generator
) -> tuple[Floats, Texts | None]:
    """Return the rows with the values of one feature from other rows."""
    other, width = rng.permutation(len(numbers)), numbers.shape[1]
    numbers, texts = numbers.copy(), None if texts is None else texts.copy()
    side, i = (numbers, player) if player < width else (texts, player - width)
    if side is not None:
        side[:, i] = side[other, i]
    return numbers, texts


def _changed(encoder: CompiledPredictor, before: Floats, numbers: Floats, texts: Texts | None) -> Flags:
    """Tell which columns are others now; a row that the graph does not decide says nothing."""
    after = encoder.own_scores(numbers, texts)
    is_known = np.asarray(~(np.isnan(before).all(axis=1) | np.isnan(after).all(axis=1)))
    is_same = np.asarray(np.isclose(before, after, rtol=1e-12, atol=1e-12, equal_nan=True))
    return np.asarray((~is_same & is_known[:, None]).any(axis=0))
