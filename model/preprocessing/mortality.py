"""The pipeline of the trees model: does this seedling die?"""

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from model.preprocessing.bundled import SEED
from model.preprocessing.measures import FirstPresent, Ratios

_TISSUE = ["Phenolics", "Lignin", "NSC"]
_NUMBERS = ["Light_ISF", "Core", "PlantDate", "Plot", "AMF", "EMF", *_TISSUE]
_CATEGORIES = ["Species", "Light_Cat", "Soil", "Sterile", "Conspecific", "Myco", "SoilMyco", "Subplot"]


def trees() -> Pipeline:
    """Return the pipeline of the trees model.

    A species forms one mycorrhiza or both; the share of the one that it depends on is a column of its own, as
    are the ratios of what the tissue holds. A missing EMF says which species it is, and boosted trees take
    missing values as they are. Two of them vote, each seeing other columns at each split.
    """
    prepare = ColumnTransformer(
        [
            ("numbers", "passthrough", _NUMBERS),
            ("own", FirstPresent(), ["EMF", "AMF"]),
            ("tissue", Ratios(), _TISSUE),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), _CATEGORIES),
        ]
    )
    members = [(f"boosting_{i}", _boosting(SEED + i)) for i in range(2)]
    return Pipeline([("prepare", prepare), ("model", VotingClassifier(members, voting="soft", n_jobs=1))])


def _boosting(seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=150,
        learning_rate=0.05,
        max_leaf_nodes=31,
        min_samples_leaf=4,
        max_features=0.3,
        early_stopping=False,
        random_state=seed,
    )
