"""Trees are exact to the bit: thresholds in float32, sets of categories, missing values, ties."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from model.compiling.compilation import build
from model.compiling.trees import float32_thresholds
from model.fallback import SklearnPredictor
from model.predictor import CompiledPredictor, Floats

NAMES = ["a", "b", "c"]


def numbers(n_rows: int = 300, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [rng.normal(size=n_rows), rng.integers(0, 6, n_rows) / 10, rng.lognormal(size=n_rows)]
    )


def labels(rows: Floats, n_classes: int = 2) -> Any:
    score = np.nansum(rows, axis=1)
    return np.digitize(score, np.quantile(score, np.arange(1, n_classes) / n_classes))


def fit(model: Any, rows: Floats, y: Any) -> Any:
    return model.fit(pd.DataFrame(rows, columns=NAMES), y)


def both(model: Any, rows: Floats) -> tuple[Floats, Floats]:
    fast = CompiledPredictor(build(model, NAMES, []))
    return fast.own_scores(rows, None), SklearnPredictor(model, NAMES, []).scores(rows, None)


def at_and_beside(thresholds: Floats, column: int, rows: Floats) -> Floats:
    """Return rows whose ``column`` is on each threshold, on the doubles next to it, and on the float32s."""
    near = [np.nextafter(thresholds, -np.inf), thresholds, np.nextafter(thresholds, np.inf)]
    single = thresholds.astype(np.float32)
    near += [np.nextafter(single, np.float32(side)).astype(float) for side in (-np.inf, np.inf)]
    values = np.concatenate([*near, single.astype(float), float32_thresholds(thresholds)])
    wide = np.resize(rows, (len(values), rows.shape[1])).copy()
    wide[:, column] = values
    return wide


@pytest.mark.parametrize("exponent", [-30, -3, 0, 5, 30])
def test_moved_thresholds_say_of_doubles_what_rounded_ones_do(exponent: int) -> None:
    rng = np.random.default_rng(exponent + 100)
    thresholds = rng.normal(size=400) * 10.0**exponent
    values = at_and_beside(thresholds, 0, np.zeros((1, 1)))[:, 0]
    repeated = np.resize(thresholds, len(values))

    moved = float32_thresholds(repeated)

    assert np.array_equal(values <= moved, values.astype(np.float32) <= repeated)


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier, GradientBoostingClassifier])
def test_values_at_and_beside_float32_thresholds_take_the_same_way(kind: Any) -> None:
    rows = numbers()
    model = fit(kind(n_estimators=5, random_state=0), rows, labels(rows, 3))
    trees = [tree.tree_ for tree in np.ravel(model.estimators_)]

    for column in range(3):
        thresholds = np.concatenate([t.threshold[(t.feature == column)] for t in trees])
        fast, slow = both(model, at_and_beside(thresholds, column, rows))

        np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-15)


def test_values_at_and_beside_double_thresholds_take_the_same_way() -> None:
    rows = numbers()
    model = fit(HistGradientBoostingRegressor(max_iter=5), rows, rows[:, 0] * rows[:, 2])
    nodes = np.concatenate([p.nodes for (p,) in model._predictors])
    nodes = nodes[(nodes["is_leaf"] == 0) & (nodes["feature_idx"] == 2)]

    fast, slow = both(model, at_and_beside(nodes["num_threshold"].astype(float), 2, rows))

    np.testing.assert_allclose(fast, slow, rtol=1e-14)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_a_forest_keeps_ties_between_classes(n_classes: int) -> None:
    rows = numbers(60)
    model = fit(RandomForestClassifier(4, max_depth=2, random_state=1), rows, labels(rows, n_classes))

    fast, slow = both(model, numbers(3000, seed=1))

    assert np.array_equal(fast[:, 1], slow[:, 1])
    assert n_classes == 2 or np.array_equal(fast, slow)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_missing_values_take_the_same_way_also_if_training_had_none(share: float) -> None:
    rows = numbers()
    rows[np.random.default_rng(0).random(rows.shape) < share] = np.nan
    model = fit(RandomForestRegressor(5, random_state=0), rows, labels(rows, 5))
    probes = numbers(200, seed=3)
    probes[np.random.default_rng(1).random(probes.shape) < 0.4] = np.nan

    fast, slow = both(model, probes)

    assert np.array_equal(fast, slow)


def test_a_split_on_missing_alone_is_kept() -> None:
    rows = np.column_stack([np.where(np.arange(40) < 20, np.nan, 1.0), np.zeros(40), np.zeros(40)])
    model = fit(DecisionTreeRegressor(), rows, np.isnan(rows[:, 0]).astype(float))

    fast, slow = both(model, np.array([[np.nan, 0, 0], [1e30, 0, 0], [-1e30, 0, 0]]))

    assert fast.tolist() == slow.tolist() == [1.0, 0.0, 0.0]


def test_boosting_refuses_missing_values_as_scikit_learn_does() -> None:
    rows = numbers()
    model = fit(GradientBoostingClassifier(n_estimators=3), rows, labels(rows))

    fast = CompiledPredictor(build(model, NAMES, [])).own_scores(
        np.array([[1.0, np.nan, 2.0], [1.0, 0, 2]]), None
    )

    assert np.isnan(fast[0]).all() and not np.isnan(fast[1]).any()


@pytest.mark.parametrize("n_categories", [3, 40, 200])
def test_sets_of_categories_unseen_and_missing_ones_take_the_same_way(n_categories: int) -> None:
    rng = np.random.default_rng(0)
    texts = rng.choice([f"c{i}" for i in range(n_categories)], 2000)
    frame = pd.DataFrame({"t": pd.Series(texts, dtype=object), "x": rng.normal(size=2000)})
    frame.loc[rng.random(2000) < 0.1, "t"] = np.nan
    y = (frame["t"].map(hash_of).fillna(0.5) + 0.3 * frame["x"] > 0.5).astype(int)
    model = HistGradientBoostingClassifier(max_iter=8, categorical_features=["t"]).fit(frame, y)
    probes = np.array([["never seen"], [""], *[[f"c{i}"] for i in range(n_categories)]], dtype=object)

    fast = CompiledPredictor(build(model, ["t", "x"], ["t"])).own_scores(np.zeros((len(probes), 1)), probes)

    slow = SklearnPredictor(model, ["t", "x"], ["t"]).scores(np.zeros((len(probes), 1)), probes)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-14)


def hash_of(text: Any) -> float:
    return np.nan if text != text else (int(text[1:]) * 2654435761 % 1000) / 1000


def test_a_tree_that_is_one_leaf_is_kept() -> None:
    model = fit(DecisionTreeRegressor(), numbers(10), np.full(10, 2.5))

    fast, _ = both(model, numbers(3))

    assert fast.tolist() == [2.5, 2.5, 2.5]


def test_computed_numbers_next_to_a_threshold_are_left_open() -> None:
    rows = np.exp(numbers())
    logs = FunctionTransformer(np.log)
    model = make_pipeline(logs, StandardScaler(), DecisionTreeRegressor(max_depth=1, random_state=0))
    fit(model, rows, rows[:, 0] > 1.0)
    threshold = float32_thresholds(model[-1].tree_.threshold[:1])[0]
    scaler = model[1]
    edge = np.exp(threshold * scaler.scale_[0] + scaler.mean_[0])
    probes = np.array([[edge, 1, 1], [edge * (1 + 1e-9), 1, 1], [edge * (1 - 1e-9), 1, 1]])

    fast, slow = both(model, probes)

    assert np.isnan(fast[0])
    assert fast[1:].tolist() == slow[1:].tolist() == [1.0, 0.0]


def test_many_random_forests_agree_to_the_bit() -> None:
    for seed in range(12):
        rows = numbers(150, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = fit(ExtraTreesClassifier(7, random_state=seed), rows, labels(rows, 3))

        fast, slow = both(model, numbers(500, seed + 50))

        assert np.array_equal(fast, slow)
