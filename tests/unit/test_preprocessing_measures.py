"""Relations of numbers in one row, by the transformers and by their graphs."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from model.columns import days
from model.compiling.compilation import build
from model.predictor import CompiledPredictor
from model.preprocessing.measures import FirstPresent, Household, LostCentury, Ratios

NAN = float("nan")


@parametrize_with_checks([LostCentury(), FirstPresent()])
def test_a_transformer_is_one_by_the_rules_of_scikit_learn(estimator, check):
    check(estimator)


def test_a_year_to_come_is_one_of_the_last_century():
    seen = LostCentury().fit_transform([[days("2046-11-20", None)], [days("2010-11-20", None)], [NAN]])

    assert seen[:, 0] == pytest.approx(
        [days("1946-11-20", None), days("2010-11-20", None), NAN], abs=1, nan_ok=True
    )


def test_the_first_column_with_a_value_counts():
    assert FirstPresent().fit_transform([[NAN, 2.0], [1.0, 2.0], [NAN, NAN]])[:, 0] == pytest.approx(
        [2, 1, NAN], nan_ok=True
    )


def test_ratios_are_those_of_each_pair():
    ratios = Ratios().fit_transform(
        [[1.0, 2.0, 4.0], [1.0, 0.0, -1.0], [NAN, 1.0, 1.0], [1e300, 1e-300, 1.0]]
    )

    assert ratios[0].tolist() == [0.5, 0.25, 0.5]
    assert np.isnan(ratios[1]).all()
    assert ratios[2] == pytest.approx([NAN, NAN, 1.0], nan_ok=True)
    assert ratios[3] == pytest.approx([NAN, 1e300, 1e-300], nan_ok=True)


def test_a_fare_is_paid_for_the_whole_household():
    assert Household().fit_transform([[1.0, 2.0, 40.0], [0.0, 0.0, 8.0]]).tolist() == [[4, 10], [1, 8]]


def test_outputs_are_named_after_their_columns():
    table = pd.DataFrame({"a": [1.0], "b": [2.0], "c": [3.0]})

    assert list(Ratios().fit(table).get_feature_names_out()) == ["a_by_b", "a_by_c", "b_by_c"]
    assert list(FirstPresent().fit(table).get_feature_names_out()) == ["first_of_a_b_c"]
    assert list(Household().fit(table).get_feature_names_out()) == ["size", "fare_each"]
    assert list(LostCentury().fit(table).get_feature_names_out()) == ["a", "b", "c"]


@pytest.mark.parametrize("step", [LostCentury(100.0), FirstPresent(), Ratios(), Household()])
def test_the_graph_has_the_bits_of_the_transformer(step):
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(rng.normal(50, 60, size=(200, 3)), columns=["a", "b", "c"])
    rows = rows.mask(rng.random(rows.shape) < 0.2)
    pipeline = make_pipeline(step, SimpleImputer(), LinearRegression()).fit(rows, rng.normal(size=200))
    graph = CompiledPredictor(build(pipeline, list(rows), []))

    assert graph.own_scores(rows.to_numpy(), None) == pytest.approx(pipeline.predict(rows), rel=1e-12)
