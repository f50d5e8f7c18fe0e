"""Pipelines of one model each, for experiments: the default preparation, and a model with its parameters.

A spec names one as ``pipeline: model.preprocessing.alternatives:forest`` with ``parameters: {n_trees: 300}``.
"""

from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from model.preprocessing.default import SEED, of_wide_target, prepare
from model.spec import Spec


def linear(spec: Spec, regularisation: float = 1.0) -> Pipeline:
    """Return logistic or ridge regression of scaled columns; the larger the penalty, the flatter."""
    model: Any = Ridge(alpha=regularisation)
    if _is_classification(spec):
        model = LogisticRegression(C=1 / regularisation, max_iter=2_000)
    return _pipeline(spec, make_pipeline(MinMaxScaler(clip=True), StandardScaler(), model))


def forest(spec: Spec, n_trees: int = 200, min_leaf: int = 2) -> Pipeline:
    """Return a random forest (Breiman 2001)."""
    kind = RandomForestClassifier if _is_classification(spec) else RandomForestRegressor
    return _pipeline(spec, kind(n_trees, min_samples_leaf=min_leaf, n_jobs=1, random_state=SEED))


def extra_trees(spec: Spec, n_trees: int = 200, min_leaf: int = 2) -> Pipeline:
    """Return extremely randomised trees (Geurts, Ernst and Wehenkel 2006)."""
    kind = ExtraTreesClassifier if _is_classification(spec) else ExtraTreesRegressor
    return _pipeline(spec, kind(n_trees, min_samples_leaf=min_leaf, n_jobs=1, random_state=SEED))


def boosting(
    spec: Spec, n_rounds: int = 150, learning_rate: float = 0.06, n_leaves: int = 15, min_leaf: int = 10
) -> Pipeline:
    """Return gradient boosted trees on binned columns (Ke et al. 2017)."""
    kind = HistGradientBoostingClassifier if _is_classification(spec) else HistGradientBoostingRegressor
    model = kind(
        max_iter=n_rounds,
        learning_rate=learning_rate,
        max_leaf_nodes=n_leaves,
        min_samples_leaf=min_leaf,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=SEED,
    )
    return _pipeline(spec, model)


def _is_classification(spec: Spec) -> bool:
    return spec.task == "classification"


def _pipeline(spec: Spec, model: Any) -> Pipeline:
    return Pipeline([("prepare", prepare(spec)), ("model", of_wide_target(spec, model))])
