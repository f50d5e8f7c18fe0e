"""Our transformers, and the pipelines made of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from model.preprocessing import songs
from model.preprocessing.transformers import Cyclic, DateParts, FoldedTempo, HatBasis


@parametrize_with_checks([FoldedTempo(), Cyclic(), DateParts(), HatBasis()])
def test_a_transformer_is_one_by_the_rules_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("tempo", "folded"), [(90, 90), (180, 90), (45, 90), (66, 66), (132, 66), (240, 120), (0, 0)]
)
def test_a_tempo_and_its_double_are_one(tempo, folded):
    assert FoldedTempo().fit_transform([[tempo]]) == [[folded]]


def test_a_tempo_that_is_missing_stays_missing():
    assert np.isnan(FoldedTempo().fit_transform([[np.nan]])).all()


def test_the_last_key_is_next_to_the_first():
    points = Cyclic(12).fit_transform([[0.0], [11.0], [6.0]])

    assert np.linalg.norm(points[0] - points[1]) < 0.52 < np.linalg.norm(points[0] - points[2])


def test_a_date_becomes_day_weekday_yearday_and_daytime():
    parts = DateParts().fit_transform([[0.0], [365.25 + 4], [-1.5]])

    assert parts[0].tolist() == [0, 3, 0, 0]  # a Thursday
    assert parts[1].tolist() == pytest.approx([369.25, 1.25, 4.0075, 0.25])
    assert parts[2].tolist() == pytest.approx([-1.5, 1.5, 363.7425, 0.5])


def test_a_value_is_between_its_two_knots():
    basis = HatBasis(3).fit([[0.0], [1.0], [3.0]])

    assert basis.transform([[0.25], [2.0]]).tolist() == [[0.75, 0.25, 0], [0, 0.5, 0.5]]


def test_a_wild_value_weighs_no_more_than_the_last_knot():
    basis = HatBasis(3).fit([[0.0], [1.0], [3.0]])

    assert basis.transform([[1e300], [-1e300]]).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_constant_column_has_one_knot():
    assert HatBasis().fit_transform([[5.0], [5.0]]).tolist() == [[1.0], [1.0]]


def test_a_column_without_any_value_is_no_error():
    assert HatBasis().fit([[np.nan], [np.nan]]).transform([[1.0]]).tolist() == [[1.0]]


def test_outputs_are_named_after_their_columns():
    table = pd.DataFrame({"key": [0.0, 5.0, 7.0]})

    assert list(Cyclic().fit(table).get_feature_names_out()) == ["key_sin", "key_cos"]
    assert list(HatBasis(2).fit(table).get_feature_names_out()) == ["key_0", "key_1"]
    assert list(FoldedTempo().fit(table).get_feature_names_out()) == ["key"]


def test_the_songs_pipeline_scores_a_row_of_which_nothing_is_known(song_rows):
    features, y = song_rows
    pipeline = songs().fit(features, y)
    nothing = pd.DataFrame([[np.nan] * features.shape[1]], columns=features.columns)

    assert 0 < pipeline.predict_proba(nothing)[0, 1] < 1


def test_the_songs_pipeline_is_the_same_each_time(song_rows):
    features, y = song_rows
    first, second = (clone(songs()).fit(features, y).predict_proba(features) for _ in range(2))

    assert (first == second).all()


@pytest.fixture(scope="module")
def song_rows():
    rng = np.random.default_rng(0)
    names = ["popularity", "danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness"]
    names += ["instrumentalness", "liveness", "valence", "tempo", "duration"]
    table = pd.DataFrame(rng.random((120, len(names))), columns=names)
    return table, (table["danceability"] + rng.random(120) / 2 > 1).astype(int)
