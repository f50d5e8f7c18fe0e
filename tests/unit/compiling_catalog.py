"""Random mixed tables, and pipelines of every family that the compiler knows, to compare both paths with."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn import ensemble as en
from sklearn import linear_model as lm
from sklearn import preprocessing as pp
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from model.compiling.compilation import build
from model.fallback import SklearnPredictor
from model.predictor import CompiledPredictor, Floats, Texts

NUMBERS = ["normal", "skewed", "count", "rare"]
TEXTS = ["color", "town"]
COLUMNS = ["normal", "color", "skewed", "count", "town", "rare"]  # kinds mixed, as in a spec


def table(n_rows: int, seed: int) -> pd.DataFrame:
    """Return a table of continuous, skewed, whole and text columns, each with missing values."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "normal": rng.normal(50.0, 12.0, n_rows),
            "color": rng.choice(["red", "green", "blue", "ágil"], n_rows, p=[0.5, 0.3, 0.15, 0.05]),
            "skewed": rng.lognormal(1.0, 1.0, n_rows),
            "count": rng.integers(0, 8, n_rows).astype(float),
            "town": rng.choice([f"town {i}" for i in range(9)], n_rows),
            "rare": np.where(rng.random(n_rows) < 0.8, 0.0, rng.normal(size=n_rows)),
        }
    )
    frame[TEXTS] = frame[TEXTS].astype(object)
    for name in COLUMNS:
        frame.loc[rng.random(n_rows) < 0.07, name] = np.nan
    return frame[COLUMNS]


def target(frame: pd.DataFrame, n_classes: int, seed: int) -> np.ndarray[Any, Any]:
    """Return a positive number (``n_classes`` 0) or a class that depends on all columns."""
    rng = np.random.default_rng(seed)
    score = (frame["normal"].fillna(45.0) - 50.0) / 12.0 + np.log(frame["skewed"].fillna(2.0))
    score += (frame["count"] > 3) + 1.2 * (frame["color"] == "red") + rng.normal(0.0, 0.5, len(frame))
    if n_classes == 0:
        return np.exp(0.5 * score.to_numpy()) + 0.1
    return np.digitize(score, np.quantile(score, np.arange(1, n_classes) / n_classes))


def probes(frame: pd.DataFrame, n_rows: int, seed: int) -> pd.DataFrame:
    """Return rows that training did not see: columns drawn apart, unseen, missing and extreme values."""
    rng = np.random.default_rng(seed)
    drawn = {
        name: frame[name].sample(n_rows, replace=True, random_state=seed + i)
        for i, name in enumerate(COLUMNS)
    }
    rows = pd.DataFrame({name: values.to_numpy(copy=True) for name, values in drawn.items()})
    for name in TEXTS:
        rows.loc[rng.random(n_rows) < 0.1, name] = "never seen"
    rows.loc[rng.random(n_rows) < 0.1, "count"] = 2.5
    rows.loc[rng.random(n_rows) < 0.1, "normal"] = rng.normal(50.0, 60.0)
    rows.loc[0, ["normal", "skewed", "color"]] = [1e6, 0.0, np.nan]
    return rows


@dataclass(frozen=True)
class Prep:
    """A preparation; ``keeps_missing``: NaN comes through it, ``is_positive``: nothing negative does."""

    make: Callable[[], Any]
    keeps_missing: bool = False
    is_positive: bool = False


def _columns(numbers: Any, texts: Any, **options: Any) -> ColumnTransformer:
    return ColumnTransformer([("n", numbers, NUMBERS), ("t", texts, TEXTS)], **options)


def _one_hot(**options: Any) -> Any:
    return make_pipeline(
        SimpleImputer(strategy="most_frequent"), pp.OneHotEncoder(**{"handle_unknown": "ignore"} | options)
    )


def _filled(*steps: Any, **options: Any) -> Any:
    return make_pipeline(SimpleImputer(**options), *steps)


def _ordinal() -> Any:
    return pp.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)


def _logs() -> Any:
    log = make_pipeline(
        SimpleImputer(strategy="median"), pp.FunctionTransformer(np.log1p), pp.StandardScaler()
    )
    rest = make_pipeline(SimpleImputer(), pp.RobustScaler())
    return ColumnTransformer(
        [("log", log, ["skewed", "count"]), ("n", rest, ["normal", "rare"]), ("t", _one_hot(), TEXTS)]
    )


def _union() -> Any:
    both = FeatureUnion(
        [
            ("scaled", pp.MinMaxScaler()),
            ("bins", pp.KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf")),
        ]
    )
    return _columns(_filled(both), _one_hot(min_frequency=12, handle_unknown="infrequent_if_exist"))


PREPS = {
    "standard": Prep(lambda: _columns(_filled(pp.StandardScaler(), add_indicator=True), _one_hot())),
    "min-max": Prep(
        lambda: _columns(_filled(pp.MinMaxScaler(clip=True), strategy="median"), _one_hot(drop="first")),
        is_positive=True,
    ),
    "robust": Prep(
        lambda: _columns(_filled(pp.RobustScaler(), strategy="most_frequent"), _one_hot(min_frequency=20))
    ),
    "max-abs": Prep(
        lambda: _columns(
            _filled(pp.MaxAbsScaler(), strategy="constant", fill_value=-1.0), _one_hot(max_categories=4)
        )
    ),
    "normalizer": Prep(lambda: _columns(_filled(pp.Normalizer()), _one_hot(drop="if_binary"))),
    "filled text": Prep(
        lambda: _columns(
            SimpleImputer(),
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="none", add_indicator=True), _mixed_one_hot()
            ),
        )
    ),
    "logs": Prep(_logs),
    "power": Prep(lambda: _columns(_filled(pp.PowerTransformer()), _one_hot())),
    "quantile": Prep(
        lambda: _columns(_filled(pp.QuantileTransformer(n_quantiles=40)), _one_hot()), is_positive=True
    ),
    "normal quantile": Prep(
        lambda: _columns(
            _filled(pp.QuantileTransformer(n_quantiles=40, output_distribution="normal")), _one_hot()
        )
    ),
    "polynomial": Prep(
        lambda: _columns(
            _filled(pp.StandardScaler(), pp.PolynomialFeatures(3)), _one_hot(sparse_output=False)
        )
    ),
    "interactions": Prep(
        lambda: make_pipeline(
            _columns(_filled(pp.StandardScaler()), _ordinal()),
            pp.PolynomialFeatures(2, interaction_only=True, include_bias=False),
        )
    ),
    "union": Prep(_union, is_positive=True),
    "splines": Prep(lambda: _columns(_filled(pp.SplineTransformer(n_knots=4)), _one_hot())),
    "continued splines": Prep(
        lambda: _columns(
            _filled(pp.SplineTransformer(4, degree=2, extrapolation="continue", include_bias=False)),
            _ordinal(),
        )
    ),
    "bins": Prep(
        lambda: _columns(
            _filled(pp.KBinsDiscretizer(5, encode="ordinal", quantile_method="averaged_inverted_cdf")),
            _ordinal(),
        )
    ),
    "target": Prep(
        lambda: _columns(_filled(pp.StandardScaler()), pp.TargetEncoder(cv=3, random_state=0)),
    ),
    "pca": Prep(
        lambda: make_pipeline(_columns(_filled(pp.StandardScaler()), _one_hot(sparse_output=False)), PCA(5))
    ),
    "svd": Prep(lambda: make_pipeline(_columns(_filled(pp.StandardScaler()), _one_hot()), TruncatedSVD(4))),
    "best": Prep(
        lambda: make_pipeline(
            _columns(_filled(pp.StandardScaler()), _one_hot()), VarianceThreshold(), SelectKBest(k=6)
        )
    ),
    "from model": Prep(
        lambda: make_pipeline(
            _columns(_filled(), _ordinal()),
            SelectFromModel(DecisionTreeRegressor(max_depth=4, random_state=0)),
        )
    ),
    "clusters": Prep(
        lambda: make_pipeline(
            _columns(_filled(pp.StandardScaler()), "drop"), KMeans(4, n_init=1, random_state=0)
        )
    ),
    "binary": Prep(lambda: _columns(_filled(pp.Binarizer(threshold=3.0)), _one_hot()), is_positive=True),
    "passthrough": Prep(
        lambda: ColumnTransformer([("t", _ordinal(), TEXTS)], remainder="passthrough"), keeps_missing=True
    ),
    "scaled missing": Prep(lambda: _columns(pp.StandardScaler(), _ordinal()), keeps_missing=True),
    "missing text": Prep(
        lambda: _columns("passthrough", pp.OneHotEncoder(handle_unknown="ignore")), keeps_missing=True
    ),
    "numbers as categories": Prep(
        lambda: ColumnTransformer(
            [
                ("c", pp.OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["count", "color"]),
                ("n", SimpleImputer(), ["normal"]),
            ],
            transformer_weights={"n": 0.1},
        )
    ),
}


def _mixed_one_hot() -> Any:
    """Encode texts together with the flags of what was missing."""
    return pp.OneHotEncoder(handle_unknown="ignore")


@dataclass(frozen=True)
class Model:
    """An estimator family; flags as in ``Prep``, ``n_classes`` 0 for regression."""

    make: Callable[[], Any]
    classes: tuple[int, ...]
    takes_missing: bool = False
    wants_positive: bool = False


def _small(kind: Any, **options: Any) -> Callable[[], Any]:
    return lambda: kind(n_estimators=8, random_state=0, **options)


def _classifier(make: Callable[[], Any], **flags: Any) -> Model:
    return Model(make, **{"classes": (2, 3)} | flags)


def _regressor(make: Callable[[], Any], **flags: Any) -> Model:
    return Model(make, classes=(0,), **flags)


def _voters() -> list[tuple[str, Any]]:
    return [("l", lm.LogisticRegression()), ("t", DecisionTreeClassifier(max_depth=4, random_state=0))]


def _averaged() -> list[tuple[str, Any]]:
    return [("r", lm.Ridge()), ("t", DecisionTreeRegressor(max_depth=4, random_state=0))]


def _hist(kind: Any, **options: Any) -> Callable[[], Any]:
    return lambda: kind(max_iter=6, random_state=0, **options)


CLASSIFIERS = {
    "logistic": _classifier(lambda: lm.LogisticRegression()),
    "sgd log": _classifier(lambda: lm.SGDClassifier(loss="log_loss", random_state=0)),
    "sgd huber": _classifier(lambda: lm.SGDClassifier(loss="modified_huber", random_state=0)),
    "ridge classifier": _classifier(lambda: lm.RidgeClassifier()),
    "linear svc": _classifier(lambda: LinearSVC(random_state=0)),
    "lda": _classifier(lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)),
    "qda": _classifier(lambda: QuadraticDiscriminantAnalysis(reg_param=0.3)),
    "tree": _classifier(lambda: DecisionTreeClassifier(max_depth=6, random_state=0), takes_missing=True),
    "forest": _classifier(_small(en.RandomForestClassifier), takes_missing=True),
    "extra trees": _classifier(_small(en.ExtraTreesClassifier), takes_missing=True),
    "boosting": _classifier(_small(en.GradientBoostingClassifier)),
    "exponential boosting": _classifier(
        _small(en.GradientBoostingClassifier, loss="exponential"), classes=(2,)
    ),
    "hist boosting": _classifier(_hist(en.HistGradientBoostingClassifier), takes_missing=True),
    "adaboost": _classifier(_small(en.AdaBoostClassifier)),
    "bagging": _classifier(_small(en.BaggingClassifier, max_features=0.7), takes_missing=True),
    "bagged svc": _classifier(_small(lambda **o: en.BaggingClassifier(LinearSVC(random_state=0), **o))),
    "neighbours": _classifier(lambda: KNeighborsClassifier(5)),
    "weighted neighbours": _classifier(
        lambda: KNeighborsClassifier(6, weights="distance", algorithm="kd_tree")
    ),
    "manhattan neighbours": _classifier(lambda: KNeighborsClassifier(4, p=1)),
    "svc": _classifier(lambda: SVC(), classes=(2,)),
    "polynomial svc": _classifier(lambda: SVC(kernel="poly", degree=2), classes=(2,)),
    "gaussian bayes": _classifier(lambda: GaussianNB()),
    "bernoulli bayes": _classifier(lambda: BernoulliNB()),
    "multinomial bayes": _classifier(lambda: MultinomialNB(), wants_positive=True),
    "complement bayes": _classifier(lambda: ComplementNB(), wants_positive=True),
    "mlp": _classifier(lambda: MLPClassifier(hidden_layer_sizes=(6,), max_iter=30, random_state=0)),
    "platt": _classifier(lambda: CalibratedClassifierCV(LinearSVC(random_state=0), cv=3)),
    "platt svc": _classifier(lambda: CalibratedClassifierCV(SVC(), cv=3), classes=(2,)),
    "isotonic forest": _classifier(
        lambda: CalibratedClassifierCV(_small(en.RandomForestClassifier)(), method="isotonic", cv=3)
    ),
    "isotonic logistic": _classifier(
        lambda: CalibratedClassifierCV(lm.LogisticRegression(), method="isotonic", cv=3, ensemble=False)
    ),
    "temperature": _classifier(
        lambda: CalibratedClassifierCV(_hist(en.HistGradientBoostingClassifier)(), method="temperature", cv=3)
    ),
    "temperature bayes": _classifier(
        lambda: CalibratedClassifierCV(GaussianNB(), method="temperature", cv=3)
    ),
    "soft voting": _classifier(lambda: en.VotingClassifier(_voters(), voting="soft", weights=[2, 1])),
    "hard voting": _classifier(lambda: en.VotingClassifier(_voters())),
    "stacking": _classifier(lambda: en.StackingClassifier(_voters(), cv=3)),
    "stacking on trees": _classifier(
        lambda: en.StackingClassifier(
            _voters(), final_estimator=_small(en.RandomForestClassifier)(), cv=3, passthrough=True
        )
    ),
    "one against rest": _classifier(lambda: OneVsRestClassifier(lm.LogisticRegression())),
    "dummy": _classifier(lambda: DummyClassifier()),
}

REGRESSORS = {
    "least squares": _regressor(lambda: lm.LinearRegression()),
    "ridge": _regressor(lambda: lm.Ridge()),
    "lasso": _regressor(lambda: lm.Lasso(alpha=0.01)),
    "elastic net": _regressor(lambda: lm.ElasticNet(alpha=0.01)),
    "bayesian ridge": _regressor(lambda: lm.BayesianRidge()),
    "huber": _regressor(lambda: lm.HuberRegressor(max_iter=1000)),
    "quantile": _regressor(lambda: lm.QuantileRegressor(alpha=0.01)),
    "sgd": _regressor(lambda: lm.SGDRegressor(random_state=0)),
    "poisson": _regressor(lambda: lm.PoissonRegressor(max_iter=500)),
    "gamma": _regressor(lambda: lm.GammaRegressor(max_iter=500)),
    "tweedie": _regressor(lambda: lm.TweedieRegressor(power=1.5, max_iter=500)),
    "linear svr": _regressor(lambda: LinearSVR(random_state=0, max_iter=200)),
    "svr": _regressor(lambda: SVR()),
    "kernel ridge": _regressor(lambda: KernelRidge(kernel="rbf", alpha=1.0)),
    "tree": _regressor(lambda: DecisionTreeRegressor(max_depth=6, random_state=0), takes_missing=True),
    "extra tree": _regressor(lambda: ExtraTreeRegressor(max_depth=6, random_state=0), takes_missing=True),
    "forest": _regressor(_small(en.RandomForestRegressor), takes_missing=True),
    "extra trees": _regressor(_small(en.ExtraTreesRegressor), takes_missing=True),
    "boosting": _regressor(_small(en.GradientBoostingRegressor)),
    "huber boosting": _regressor(_small(en.GradientBoostingRegressor, loss="huber")),
    "hist boosting": _regressor(_hist(en.HistGradientBoostingRegressor), takes_missing=True),
    "hist poisson": _regressor(_hist(en.HistGradientBoostingRegressor, loss="poisson"), takes_missing=True),
    "adaboost": _regressor(_small(en.AdaBoostRegressor)),
    "bagging": _regressor(_small(en.BaggingRegressor), takes_missing=True),
    "neighbours": _regressor(lambda: KNeighborsRegressor(5)),
    "weighted neighbours": _regressor(
        lambda: KNeighborsRegressor(5, weights="distance", algorithm="ball_tree")
    ),
    "mlp": _regressor(
        lambda: MLPRegressor(hidden_layer_sizes=(6,), activation="tanh", max_iter=30, random_state=0)
    ),
    "voting": _regressor(lambda: en.VotingRegressor(_averaged())),
    "stacking": _regressor(lambda: en.StackingRegressor(_averaged(), cv=3)),
    "log target": _regressor(
        lambda: TransformedTargetRegressor(lm.Ridge(), func=np.log1p, inverse_func=np.expm1)
    ),
    "scaled target": _regressor(
        lambda: TransformedTargetRegressor(lm.Ridge(), transformer=pp.StandardScaler())
    ),
    "power target": _regressor(
        lambda: TransformedTargetRegressor(lm.Ridge(), transformer=pp.PowerTransformer())
    ),
    "dummy": _regressor(lambda: DummyRegressor(strategy="median")),
}


def fits(prep: Prep, model: Model) -> bool:
    """Tell whether scikit-learn itself accepts this preparation before this model."""
    if prep.keeps_missing and not model.takes_missing:
        return False
    return prep.is_positive or not model.wants_positive


def fitted(prep: Prep, model: Model, n_classes: int, seed: int) -> tuple[Any, pd.DataFrame]:
    """Return a fitted pipeline and its training rows."""
    frame = table(160, seed)
    pipeline = make_pipeline(prep.make(), model.make())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small tables do not converge, which is not what is tested
        pipeline.fit(frame, target(frame, n_classes, seed))
    return pipeline, frame


def arrays(frame: pd.DataFrame) -> tuple[Floats, Texts]:
    """Return the rows as a predictor takes them."""
    texts: Texts = frame[TEXTS].fillna("").to_numpy(dtype=object)
    return frame[NUMBERS].to_numpy(dtype=np.float64), texts


@dataclass(frozen=True)
class Comparison:
    """Largest difference of both paths (relative for regression), and the share of rows left open."""

    difference: float
    undecided: float


def compare(pipeline: Any, frame: pd.DataFrame, n_rows: int = 120, seed: int = 7) -> Comparison:
    """Score the same new rows by both paths."""
    slow = SklearnPredictor(pipeline, COLUMNS, TEXTS)
    fast = CompiledPredictor(build(pipeline, COLUMNS, TEXTS))
    numbers, texts = arrays(probes(frame, n_rows, seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = slow.scores(numbers, texts)
    found = fast.own_scores(numbers, texts)
    is_open = np.isnan(found).reshape(n_rows, -1).any(axis=1)
    has_answer = np.isfinite(expected).reshape(n_rows, -1).all(axis=1)
    is_compared = has_answer & ~is_open
    gaps = np.abs(found[is_compared] - expected[is_compared])
    if expected.ndim == 1:
        floor = 1e-6 * np.abs(expected[has_answer]).mean()
        gaps = gaps / np.maximum(np.abs(expected[is_compared]), floor)
    return Comparison(float(gaps.max(initial=0.0)), float(is_open[has_answer].mean()))
