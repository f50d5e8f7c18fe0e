"""The pipelines of the bundled models, unfitted: all preparation of a row, then the model.

They get a DataFrame in spec order (see ``model.frame``). Every column has an imputer, also where the spec
requires a value, so that any labelled file can be scored.
"""

from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from model.preprocessing.transformers import Cyclic, FoldedTempo, HatBasis

SEED = 20240101

_AUDIO = ["popularity", "danceability", "energy", "loudness", "mode", "speechiness", "acousticness"]
_AUDIO += ["instrumentalness", "liveness", "valence", "tempo", "duration"]


def songs() -> Pipeline:
    """Return the pipeline of the songs model: is this track reggaeton?

    Two models vote. Extremely randomised trees (Geurts et al. 2006) see combinations, and their random splits
    overfit the few positive rows least; a logistic curve for each feature fills in where trees step. The
    votes are calibrated by Platt's sigmoid (Platt 1999), which few positives suffice for.
    """
    prepare = ColumnTransformer(
        [
            ("audio", SimpleImputer(strategy="median"), _AUDIO),
            ("tempo", make_pipeline(SimpleImputer(strategy="median"), FoldedTempo()), ["tempo"]),
            ("key", make_pipeline(SimpleImputer(strategy="most_frequent"), Cyclic(12)), ["key"]),
        ]
    )
    trees = ExtraTreesClassifier(
        100, min_samples_leaf=2, class_weight="balanced", n_jobs=1, random_state=SEED
    )
    curves = make_pipeline(HatBasis(6), LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=200))
    vote = VotingClassifier([("trees", trees), ("curves", curves)], voting="soft", n_jobs=1)
    model = CalibratedClassifierCV(vote, method="sigmoid", cv=3, ensemble=False, n_jobs=1)
    return Pipeline([("prepare", prepare), ("model", model)])
