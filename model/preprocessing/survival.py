"""The pipeline of the titanic model: does this passenger survive?"""

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from model.preprocessing.bundled import SEED
from model.preprocessing.measures import Household
from model.preprocessing.transformers import HatBasis

_NUMBERS = ["Pclass", "Age", "SibSp", "Parch", "Fare"]


def titanic() -> Pipeline:
    """Return the pipeline of the titanic model.

    Fares were paid for whole families, so the fare a head and the size of the family are added. There are few
    rows, so three models vote that err in other ways: boosted trees, a random forest, and a logistic curve
    for each column.
    """
    fares = make_pipeline(_imputer(), Household())
    prepare = ColumnTransformer(
        [
            ("numbers", _imputer(), _NUMBERS),
            ("household", fares, ["SibSp", "Parch", "Fare"]),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["Sex", "Embarked"]),
        ]
    )
    return Pipeline([("prepare", prepare), ("model", _vote())])


def _imputer() -> SimpleImputer:
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _vote() -> Any:
    boosting = GradientBoostingClassifier(
        n_estimators=150,
        learning_rate=0.05,
        subsample=0.6,
        max_features=0.5,
        min_samples_leaf=5,
        random_state=SEED,
    )
    forest = RandomForestClassifier(150, min_samples_leaf=3, max_features=0.3, n_jobs=1, random_state=SEED)
    curves = make_pipeline(HatBasis(6), LogisticRegression(C=0.3, solver="newton-cholesky", max_iter=200))
    members = [("boosting", boosting), ("forest", forest), ("curves", curves)]
    return VotingClassifier(members, voting="soft", n_jobs=1)
