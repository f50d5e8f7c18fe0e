"""The pipeline of a model whose spec names none: sound for any table, whatever its columns."""

import re
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler, TargetEncoder

from model.preprocessing.texts import Quantity
from model.preprocessing.transformers import DateParts
from model.spec import Feature, Spec

SEED = 20240101
# A category with more values than this gets one column, the target's mean, instead of one a value.
MAX_COLUMNS = 30
MIN_FREQUENCY = 0.005
# A target that spans more than this factor is learnt as its logarithm: errors there are shares, not amounts.
WIDE = 20.0
ROUNDS, LEAST_ROUNDS, TREES = 150, 30, 450
LARGE, SMALL = 5_000, 1_000


def default_pipeline(spec: Spec, n_rows: int) -> Pipeline:
    """Return a pipeline for any table.

    Gaps are filled with the median and flagged, numbers inside texts are read, frequent categories get a
    column each, categories of many values and texts the mean of the target (cross-fitted; Micci-Barreca
    2001), dates become parts. Of a large table boosted trees learn all there is; of a smaller one extremely
    randomised trees vote with them, and of a small one a linear model too, which small tables seldom mislead.

    Parameters
    ----------
    spec : Spec
        Resolved; a category without categories counts as text.
    n_rows : int
        Number of training rows.
    """
    return Pipeline([("prepare", prepare(spec)), ("model", _model(spec, n_rows))])


def prepare(spec: Spec) -> ColumnTransformer:
    """Return the preparation of any table, unfitted: see ``default_pipeline``."""
    dates = [name for name in spec.numbers if spec.features[name].type == "date"]
    numbers = [name for name in spec.numbers if name not in dates]
    measures = [name for name in spec.texts if _has_number(spec.features[name])]
    few = [name for name in spec.texts if 0 < len(spec.features[name].categories or ()) <= MAX_COLUMNS]
    many = [name for name in spec.texts if name not in (*few, *measures)]
    steps = [
        ("numbers", _imputer(), numbers),
        ("measures", make_pipeline(Quantity(), _imputer()), measures),
        ("dates", make_pipeline(_imputer(), DateParts()), dates),
        ("few", _one_hot(), few),
        ("many", _target_mean(spec), many),
    ]
    return ColumnTransformer([step for step in steps if step[2]])


def _has_number(feature: Feature) -> bool:
    return feature.pattern is not None and re.compile(feature.pattern).groups > 0


def _imputer() -> SimpleImputer:
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _one_hot() -> OneHotEncoder:
    return OneHotEncoder(
        min_frequency=MIN_FREQUENCY, handle_unknown="infrequent_if_exist", sparse_output=False
    )


def _target_mean(spec: Spec) -> TargetEncoder:
    kinds = {0: "continuous", 2: "binary"}
    # Not stratified: a class may have fewer rows than there are folds.
    folds = KFold(5, shuffle=True, random_state=SEED)
    return TargetEncoder(target_type=kinds.get(len(spec.labels), "multiclass"), cv=folds)


def _model(spec: Spec, n_rows: int) -> Any:
    return of_wide_target(spec, _vote(spec, _members(spec, n_rows)))


def of_wide_target(spec: Spec, model: Any) -> Any:
    """Return a model that learns a positive target that spans orders of magnitude as its logarithm."""
    if not _is_wide(spec):
        return model
    return TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp)


def _members(spec: Spec, n_rows: int) -> list[tuple[str, Any]]:
    members = [("boosting", _boosting(spec))]
    if n_rows < LARGE:
        members.append(("trees", _trees(spec)))
    if n_rows < SMALL:
        members.append(("linear", _linear(spec)))
    return members


def _vote(spec: Spec, members: list[tuple[str, Any]]) -> Any:
    if len(members) == 1:
        return members[0][1]
    if spec.task == "classification":
        return VotingClassifier(members, voting="soft", n_jobs=1)
    return VotingRegressor(members, n_jobs=1)


def _is_wide(spec: Spec) -> bool:
    low, high = spec.target.min, spec.target.max
    return low is not None and high is not None and low > 0 and high / low > WIDE


def _boosting(spec: Spec) -> Any:
    """Boosted trees; each round grows one a class, so with many classes rounds are fewer and larger."""
    kind = HistGradientBoostingClassifier if spec.task == "classification" else HistGradientBoostingRegressor
    n_rounds = min(ROUNDS, max(LEAST_ROUNDS, TREES // max(len(spec.labels), 1)))
    return kind(
        max_iter=n_rounds,
        learning_rate=min(0.25, 0.06 * ROUNDS / n_rounds),
        max_leaf_nodes=15,
        min_samples_leaf=10,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=SEED,
    )


def _trees(spec: Spec) -> Any:
    kind = ExtraTreesClassifier if spec.task == "classification" else ExtraTreesRegressor
    return kind(100, min_samples_leaf=2, n_jobs=1, random_state=SEED)


def _linear(spec: Spec) -> Any:
    """A linear model of values kept within what training saw, so that a wild one does not carry it away."""
    model = LogisticRegression(max_iter=2_000) if spec.task == "classification" else Ridge()
    return make_pipeline(MinMaxScaler(clip=True), StandardScaler(), model)
