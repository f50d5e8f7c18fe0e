"""The pipeline of the cars model: what is asked for this used car?"""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor, VotingRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from model.preprocessing.bundled import SEED
from model.preprocessing.texts import FirstWords, Quantity, Torque

_NUMBERS = ["year", "km_driven", "seats"]
_CATEGORIES = ["fuel", "seller_type", "transmission"]
_OWNERS = ["Test Drive Car", "First Owner", "Second Owner", "Third Owner", "Fourth & Above Owner"]
_CONSUMPTION = {"kmpl": 1.0, "km/kg": 1.0}  # told apart by the fuel
_VOLUME = {"cc": 1.0, "l": 1_000.0}
_POWER = {"bhp": 1.0, "hp": 1.0, "ps": 0.98632, "kw": 1.34102}


def cars() -> TransformedTargetRegressor:
    """Return the pipeline of the cars model.

    Prices span a factor of 300, so their logarithm is learnt. Measures are read from their texts. A name is
    taken apart: its make gets a column, and its make and model, and these with the next word, the mean of the
    prices that they fetched (cross-fitted; Micci-Barreca 2001). Two sorts of boosted trees vote.
    """
    pipeline = Pipeline([("prepare", _prepare()), ("model", _vote())])
    return TransformedTargetRegressor(pipeline, func=np.log, inverse_func=np.exp)


def _prepare() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("numbers", _imputer(), _NUMBERS),
            ("mileage", make_pipeline(Quantity(_CONSUMPTION), _imputer()), ["mileage"]),
            ("engine", make_pipeline(Quantity(_VOLUME), _imputer()), ["engine"]),
            ("power", make_pipeline(Quantity(_POWER), _imputer()), ["max_power"]),
            ("torque", make_pipeline(Torque(), _imputer()), ["torque"]),
            ("categories", _one_hot(), _CATEGORIES),
            ("owner", _ordered(_OWNERS), ["owner"]),
            ("make", make_pipeline(FirstWords(1), _one_hot()), ["name"]),
            ("model", make_pipeline(FirstWords(2), _mean_price()), ["name"]),
            ("variant", make_pipeline(FirstWords(3), _mean_price()), ["name"]),
        ]
    )


def _imputer() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _one_hot() -> OneHotEncoder:
    return OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist", sparse_output=False)


def _ordered(values: list[str]) -> Any:
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -1, "encoded_missing_value": -1}
    return OrdinalEncoder(categories=[values], **unknown)


def _mean_price() -> TargetEncoder:
    return TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=SEED))


def _vote() -> VotingRegressor:
    fine = HistGradientBoostingRegressor(
        max_iter=200,
        max_leaf_nodes=15,
        min_samples_leaf=10,
        max_features=0.4,
        early_stopping=False,
        random_state=SEED,
    )
    smooth = GradientBoostingRegressor(
        n_estimators=150,
        max_depth=5,
        subsample=0.7,
        max_features=0.3,
        min_samples_leaf=5,
        random_state=SEED,
    )
    return VotingRegressor([("fine", fine), ("smooth", smooth)], n_jobs=1)
