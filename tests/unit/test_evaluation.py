"""Metrics, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from model import spec
from model.evaluation import evaluate, is_better, selected

HEAD = "name: t\ndata: {train: t}\nfeatures: {a: {type: number}}\n"
TWO = spec.loads(HEAD + "task: classification\ntarget: {name: y, classes: [0, 1]}")
THREE = spec.loads(HEAD + "task: classification\ntarget: {name: y, classes: [a, b, c]}")
NUMBER = spec.loads(HEAD + "task: regression\ntarget: {name: y}")

rng = np.random.default_rng(7)
Y = rng.integers(0, 2, 200)
P = np.clip(0.3 * Y + rng.random(200) * 0.7, 0, 1)
SCORES = np.column_stack([1 - P, P])


def test_two_classes_agree_with_scikit_learn():
    found, chosen = evaluate(TWO, Y, SCORES, 0.4), P >= 0.4

    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(Y, chosen),
            "precision": sk.precision_score(Y, chosen),
            "recall": sk.recall_score(Y, chosen),
            "f1": sk.f1_score(Y, chosen),
            "roc_auc": sk.roc_auc_score(Y, P),
            "average_precision": sk.average_precision_score(Y, P),
            "brier": sk.brier_score_loss(Y, P),
        }
    )


def test_the_positive_class_may_be_the_first():
    first = spec.loads(HEAD + "task: classification\ntarget: {name: y, classes: [0, 1], positive: 0}")

    assert evaluate(first, Y, SCORES, 0.6)["recall"] == pytest.approx(sk.recall_score(1 - Y, 1 - P >= 0.6))


def test_more_classes_are_averaged_over_the_classes():
    y = rng.integers(0, 3, 300)
    scores = rng.dirichlet([1, 1, 1], 300)
    found, chosen = evaluate(THREE, y, scores), scores.argmax(axis=1)

    assert found["f1"] == pytest.approx(sk.f1_score(y, chosen, average="macro"))
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, scores, multi_class="ovr"))


def test_one_class_only_has_no_auc_and_no_nan():
    found = evaluate(TWO, np.zeros(5, dtype=int), SCORES[:5] * 0 + [0.9, 0.1])

    assert (found["roc_auc"], found["precision"], found["f1"]) == (None, None, None)
    assert found["accuracy"] == 1


def test_no_row_at_all_is_no_nan():
    assert set(evaluate(TWO, np.array([], dtype=int), np.empty((0, 2))).values()) == {None}
    assert set(evaluate(NUMBER, np.array([]), np.array([])).values()) == {None}


def test_regression_agrees_with_scikit_learn():
    y, predicted = rng.lognormal(3, 1, 100), rng.lognormal(3, 1, 100)

    assert evaluate(NUMBER, y, predicted) == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(y, predicted),
            "mae": sk.mean_absolute_error(y, predicted),
            "r2": sk.r2_score(y, predicted),
            "mape": sk.mean_absolute_percentage_error(y, predicted),
            "r2_log": sk.r2_score(np.log(y), np.log(predicted)),
        }
    )


def test_what_zero_makes_meaningless_is_none():
    found = evaluate(NUMBER, np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.5]))

    assert (found["mape"], found["r2_log"]) == (None, None)


def test_a_constant_target_has_no_r2():
    assert evaluate(NUMBER, np.array([2.0, 2.0]), np.array([1.0, 3.0]))["r2"] is None


def test_a_prediction_below_zero_costs_r2_log_but_does_not_break_it():
    found = evaluate(NUMBER, np.array([1.0, 10.0, 100.0]), np.array([-5.0, 10.0, 100.0]))

    assert found["r2_log"] == pytest.approx(1.0)


def test_the_spec_selects_and_orders():
    ours = spec.loads(HEAD + "task: regression\ntarget: {name: y}\nmetrics: [mae, rmse]")

    assert list(selected(ours, evaluate(ours, np.array([1.0, 2.0]), np.array([1.0, 2.0])))) == ["mae", "rmse"]


def test_smaller_errors_and_larger_scores_are_better():
    assert is_better("rmse", 1, 2)
    assert is_better("roc_auc", 0.9, 0.8)
