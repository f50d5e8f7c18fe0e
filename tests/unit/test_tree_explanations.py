"""Contributions of trees are exact for any number of features, those of the spec, whatever prepares them."""

import itertools
import math
import time

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, tree
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model import explanation
from model.additive import Additive, ExactContributions
from model.compiling import additive_of, compile_pipeline
from model.compiling.golden_rows import make_golden
from model.packing import pack
from model.predictor import CompiledPredictor
from model.preprocessing.measures import Ratios
from model.spec import loads
from model.training import train
from model.versions import loaded

NUMBERS, TEXTS = ["a b", "b$", "c", "d"], ["t", "u"]
COLUMNS = ["t", *NUMBERS, "u"]
MANY = 12


def boosted(kind, **options):
    name = "max_iter" if "Hist" in kind else "n_estimators"
    return lambda: getattr(ensemble, kind)(**{name: 12, "random_state": 0} | options)


def forest(kind):
    return lambda: getattr(ensemble, kind)(12, random_state=0)


def soft_vote():
    members = [("a", forest("RandomForestClassifier")()), ("b", forest("ExtraTreesClassifier")())]
    return ensemble.VotingClassifier(members, voting="soft", weights=[1, 3])


def log_vote():
    members = [
        ("fine", boosted("HistGradientBoostingRegressor")()),
        ("forest", forest("RandomForestRegressor")()),
        ("line", make_pipeline(StandardScaler(), Ridge())),
    ]
    return TransformedTargetRegressor(ensemble.VotingRegressor(members), func=np.log, inverse_func=np.exp)


CASES = [
    ("probability", 2, forest("RandomForestClassifier")),
    ("probability", 3, forest("ExtraTreesClassifier")),
    ("probability", 3, lambda: tree.DecisionTreeClassifier(max_depth=5, random_state=0)),
    ("probability", 2, soft_vote),
    ("log_odds", 2, boosted("GradientBoostingClassifier")),
    ("log_odds", 2, boosted("GradientBoostingClassifier", loss="exponential")),
    ("log_odds", 2, boosted("HistGradientBoostingClassifier")),
    ("log_ratio", 3, boosted("GradientBoostingClassifier")),
    ("log_ratio", 3, boosted("HistGradientBoostingClassifier")),
    ("value", 0, forest("RandomForestRegressor")),
    ("value", 0, forest("ExtraTreesRegressor")),
    ("value", 0, lambda: tree.DecisionTreeRegressor(max_depth=5, random_state=0)),
    ("value", 0, boosted("GradientBoostingRegressor")),
    ("value", 0, boosted("HistGradientBoostingRegressor")),
    ("log_value", 0, boosted("HistGradientBoostingRegressor", loss="poisson")),
    ("log_value", 0, log_vote),
]


def rows(n=200, seed=1):
    rng = np.random.default_rng(seed)
    found = pd.DataFrame({name: rng.normal(size=n) for name in NUMBERS})
    for name in TEXTS:
        found[name] = pd.Series(rng.choice(["x", "y", "z"], n), dtype=object)
    found.loc[rng.random(n) < 0.15, "c"] = np.nan
    found.loc[rng.random(n) < 0.1, "u"] = np.nan
    return found[COLUMNS]


def target(table, n_classes):
    score = table["a b"] * table["b$"] + table["c"].fillna(0.5) * (table["t"] == "x") + table["d"] ** 2
    if n_classes == 0:
        return np.exp(score.to_numpy() / 3)
    return np.digitize(score, np.quantile(score, np.arange(1, n_classes) / n_classes))


def prepared(*more):
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    steps = [("n", SimpleImputer(add_indicator=True), NUMBERS), ("t", texts, TEXTS), *more]
    return ColumnTransformer(steps, sparse_threshold=0)


def made(model, n_classes, *more):
    """Return the part, what it is about, and a predictor and golden rows of a fitted pipeline."""
    table = rows()
    pipeline = make_pipeline(prepared(*more), model).fit(table, target(table, n_classes))
    golden = make_golden(pipeline, table, TEXTS, may_miss=["c", "u"], n_jumps=10)
    found = additive_of(pipeline, COLUMNS, TEXTS, golden)
    return found, CompiledPredictor(compile_pipeline(pipeline, COLUMNS, TEXTS, golden)), golden


def on_scale(scale, scores, position):
    """Return scores of a predictor on the scale of a sum."""
    if scale == "log_ratio":
        return (np.log(scores) - np.log(scores).mean(axis=1, keepdims=True))[:, position]
    if scale in ("probability", "log_odds"):
        p = scores[:, position]
        return p if scale == "probability" else np.log(p / (1 - p))
    return scores if scale == "value" else np.log(scores)


def by_enumeration(predictor, scale, row, background, position):
    """Contributions by definition, from the mean scores of all sets of features."""
    value = {}
    for own in itertools.product([False, True], repeat=len(COLUMNS)):
        mixed = [np.where(own[:4], row[0], background[0]), np.where(own[4:], row[1], background[1])]
        value[own] = on_scale(scale, predictor.scores(*mixed), position).mean()
    phi = np.zeros(len(COLUMNS))
    for own, i in itertools.product(value, range(len(COLUMNS))):
        if not own[i]:
            weight = math.factorial(sum(own)) * math.factorial(len(COLUMNS) - 1 - sum(own))
            phi[i] += weight * (value[(*own[:i], True, *own[i + 1 :])] - value[own])
    return phi / math.factorial(len(COLUMNS))


@pytest.mark.parametrize(("scale", "n_classes", "model"), CASES)
def test_contributions_are_those_of_all_sets_of_features(scale, n_classes, model):
    found, predictor, golden = made(model(), n_classes)
    background = golden.numbers[:6], golden.texts[:6]
    row = golden.numbers[100], golden.texts[100]
    score = predictor.scores(row[0][None], row[1][None])
    position = int(score.argmin()) if n_classes else None

    ours = ExactContributions(found, len(COLUMNS), *background, predictor.scores(*background))
    contributions, base, full = ours.of(*row, score, position, time.monotonic() + 60)

    assert found.scale == scale
    assert contributions == pytest.approx(by_enumeration(predictor, scale, row, background, position))
    assert full == pytest.approx(on_scale(scale, score, position)[0])
    assert base + contributions.sum() == pytest.approx(full)


def test_a_part_comes_back_from_its_bytes():
    found, _, golden = made(forest("RandomForestRegressor")(), 0)

    again = Additive.from_bytes(found.to_bytes())

    columns = CompiledPredictor(again.encoder).own_scores(golden.numbers, golden.texts)
    assert again.raw(columns).tolist() == found.raw(columns).tolist()
    assert (again.scale, again.players.tolist()) == (found.scale, found.players.tolist())


def test_a_column_of_several_features_is_no_matter_for_this():
    found, _, _ = made(forest("RandomForestRegressor")(), 0, ("r", Ratios(), ["a b", "d"]))

    assert found is None


def test_a_sum_that_answers_otherwise_than_the_predictor_is_not_used():
    found, predictor, golden = made(forest("RandomForestRegressor")(), 0)
    background = golden.numbers[:6], golden.texts[:6]
    ours = ExactContributions(found, len(COLUMNS), *background, predictor.scores(*background))

    row = golden.numbers[100], golden.texts[100]

    assert ours.of(*row, np.array([1e3]), None, time.monotonic() + 60) is None


# --- in a version --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def version():
    """A forest of many features, as it is served."""
    names = [f"a{i}" for i in range(MANY)]
    features = "".join(f"  {name}: {{type: number}}\n" for name in names)
    spec = loads(
        "name: f\ntask: classification\ntarget: {name: y}\ndata: {train: t.csv}\n"
        f"pipeline: model.preprocessing.alternatives:forest\nparameters: {{n_trees: 20}}\n"
        f"features:\n{features}"
    )
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(300, MANY)), columns=names)
    table["y"] = (table["a0"] * table["a1"] + table["a2"] > 0).astype(int)
    manifest, parts = pack(train(spec, table), "1", b"k" * 32)
    return loaded(manifest, parts.__getitem__)


def explained(version):
    numbers = np.random.default_rng(5).normal(size=(2, MANY))
    scores = version.predictor.scores(numbers, None)
    return version.explainer.explain(numbers, None, scores), scores


def test_a_version_of_many_features_is_explained_exactly(version):
    found, scores = explained(version)

    for one, score in zip(found, scores, strict=True):
        assert (one.method, one.scale, one.sampling_error) == ("exact", "probability", 0.0)
        assert one.score == pytest.approx(score[1])
        assert one.base + sum(one.contributions.values()) == pytest.approx(one.score)


def test_trees_for_which_there_is_no_time_are_sampled(version, monkeypatch):
    monkeypatch.setattr(explanation, "BUDGET_S", 0.0)

    (one, _), _ = explained(version)

    assert (one.method, one.scale) == ("sampled", "log_odds")
    assert one.base + sum(one.contributions.values()) == pytest.approx(one.score)
