"""Chance does not pass the gate, a real gain does."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LinearRegression, LogisticRegression

from model import gate, spec
from model.gate import Side

HEAD = "name: t\ndata: {train: t.csv}\nfeatures: {a: {type: number}}\n"


def make_spec(metric, /, **promotion):
    task = "regression" if metric == "rmse" else "classification"
    target = "{name: y}" if metric == "rmse" else "{name: y, classes: [0, 1]}"
    rule = "".join(f"\n  {name}: {value}" for name, value in promotion.items())
    return spec.loads(
        f"{HEAD}task: {task}\ntarget: {target}\nmetrics: [{metric}]\n" + (f"promotion:{rule}" if rule else "")
    )


def tables(metric, seed, n=1_000):
    """Rows to fit on and held-out ones."""
    if metric == "rmse":
        x, y = make_regression(n, 8, n_informative=4, noise=60, random_state=seed)
    else:
        x, y = make_classification(n, 8, n_informative=4, flip_y=0.1, class_sep=0.7, random_state=seed)
    is_held = np.random.default_rng(seed).random(n) < 0.2
    return (x[~is_held], y[~is_held]), (x[is_held], y[is_held])


def side(metric, x, y, held):
    if metric == "rmse":
        return Side(LinearRegression().fit(x, y).predict(held))
    return Side(clone(LogisticRegression()).fit(x, y).predict_proba(held))


@pytest.mark.parametrize(
    ("metric", "margin"), [("roc_auc", 0), ("f1", 0), ("brier", 0), ("rmse", 0), ("roc_auc", 0.05)]
)
def test_of_100_challengers_from_resamples_of_the_same_rows_at_most_5_pass(metric, margin):
    rule, ((x, y), (held, truth)) = make_spec(metric, margin=margin), tables(metric, 5)
    champion, rng = side(metric, x, y, held), np.random.default_rng(1)

    drawn = [rng.integers(0, len(y), len(y)) for _ in range(100)]
    passed = [gate.decide(rule, truth, side(metric, x[i], y[i], held), champion).has_passed for i in drawn]

    assert sum(passed) <= 5


@pytest.mark.parametrize("metric", ["roc_auc", "f1", "brier", "rmse"])
def test_a_challenger_that_learnt_from_shuffled_labels_never_passes(metric):
    rule, rng = make_spec(metric), np.random.default_rng(2)

    for seed in range(10):
        (x, y), (held, truth) = tables(metric, seed)
        champion = side(metric, x, y, held)
        assert not gate.decide(rule, truth, side(metric, x, rng.permutation(y), held), champion).has_passed


@pytest.mark.parametrize("metric", ["roc_auc", "f1", "brier", "rmse"])
def test_a_challenger_of_ten_times_the_rows_passes(metric):
    (x, y), (held, truth) = tables(metric, 4, n=3_000)
    champion, challenger = side(metric, x[:30], y[:30], held), side(metric, x, y, held)

    decision = gate.decide(make_spec(metric), truth, challenger, champion)

    assert decision.verdict == "better"
    assert 0 < decision.low < decision.gain < decision.high
    assert decision.chance <= 0.01


def test_equal_answers_are_no_gain():
    (x, y), (held, truth) = tables("roc_auc", 4)
    same = side("roc_auc", x, y, held)

    decision = gate.decide(make_spec("roc_auc"), truth, same, same)

    assert (decision.verdict, decision.gain, decision.chance) == ("not better", 0.0, 1.0)


def test_ranks_count_for_auc_whatever_the_scale_of_the_probabilities():
    (x, y), (held, truth) = tables("roc_auc", 4)
    ours = side("roc_auc", x, y, held)
    squeezed = Side(np.column_stack([1 - ours.scores[:, 1] / 10, ours.scores[:, 1] / 10]))

    assert gate.decide(make_spec("roc_auc"), truth, squeezed, ours).chance == 1.0


def test_few_held_out_rows_decide_nothing_and_say_so():
    y = np.tile([0, 1], 10)
    good, bad = np.eye(2)[y], np.eye(2)[1 - y]

    decision = gate.decide(make_spec("f1"), y, Side(good), Side(bad))

    assert decision.verdict == "too few rows"
    assert "20 held-out rows are too few" in decision.sentence


def test_without_a_champion_the_first_version_passes():
    y = np.tile([0, 1], 20)

    assert gate.decide(make_spec("f1"), y, Side(np.eye(2)[y]), None).has_passed


def test_the_metric_of_the_promotion_wins_over_the_first_of_the_spec():
    assert gate.deciding_metric(make_spec("roc_auc", metric="brier")) == "brier"
    with pytest.raises(Exception, match="none of the metrics"):
        make_spec("roc_auc", metric="rmse")


def on_slices(spoiled):
    """A challenger that is better all in all, and wrong on the rows of one slice where ``spoiled``."""
    rng = np.random.default_rng(7)
    y = rng.integers(0, 2, 600)
    here = np.arange(600) < 80
    old = np.where(rng.random(600) < 0.7, y, 1 - y)
    new = np.where(here & spoiled, 1 - y, np.where(rng.random(600) < 0.95, y, 1 - y))
    slices = {"old cars": here, "few": np.arange(600) < 10}
    return gate.decide(make_spec("f1"), y, Side(np.eye(2)[new]), Side(np.eye(2)[old]), slices)


def test_a_challenger_that_is_better_but_worse_on_a_slice_does_not_pass():
    decision = on_slices(spoiled=True)

    assert (decision.verdict, decision.has_passed) == ("worse on slices", False)
    assert decision.slices["old cars"].is_worse
    assert decision.slices["few"].is_worse is None
    assert "Worse on: old cars." in decision.sentence


def test_a_challenger_that_is_worse_nowhere_passes():
    decision = on_slices(spoiled=False)

    assert decision.has_passed
    assert decision.slices["old cars"].is_worse is False
