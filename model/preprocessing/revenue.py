"""The pipeline of the movies model: what will this film earn worldwide?"""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor, VotingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from model.preprocessing.bundled import SEED
from model.preprocessing.measures import LostCentury
from model.preprocessing.transformers import DateParts

_NUMBERS = ["Production Budget", "Running Time min"]
_CATEGORIES = ["MPAA Rating", "Distributor", "Source", "Major Genre", "Creative Type"]


def movies() -> Pipeline:
    """Return the pipeline of the movies model.

    Revenues span six powers of ten, so their logarithm is learnt: an error is a factor, not an amount. The
    day of release tells year, season and weekday. Boosted trees and a random forest vote; the one finds fine
    differences, the other smooths what few films support.
    """
    dates = make_pipeline(LostCentury(), _imputer(), DateParts())
    rare_together = OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist", sparse_output=False)
    prepare = ColumnTransformer(
        [
            ("numbers", _imputer(), _NUMBERS),
            ("dates", dates, ["Release Date"]),
            ("categories", rare_together, _CATEGORIES),
        ]
    )
    model = TransformedTargetRegressor(_vote(), func=np.log, inverse_func=np.exp)
    return Pipeline([("prepare", prepare), ("model", model)])


def _imputer() -> SimpleImputer:
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _vote() -> Any:
    boosting = GradientBoostingRegressor(
        n_estimators=200,
        learning_rate=0.05,
        max_depth=4,
        subsample=0.6,
        max_features=0.3,
        min_samples_leaf=8,
        random_state=SEED,
    )
    forest = RandomForestRegressor(80, min_samples_leaf=3, max_features=0.3, n_jobs=1, random_state=SEED)
    return VotingRegressor([("boosting", boosting), ("forest", forest)], n_jobs=1)
