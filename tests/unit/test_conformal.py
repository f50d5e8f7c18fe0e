"""Intervals and sets hold the truth as often as they say."""

import numpy as np
import pytest

from model import conformal
from model.answer import Judge
from model.conformal import Conformal, Scored, TooFewRowsError
from model.spec import loads

SPEC = """\
name: any
task: {task}
target: {target}
data: {{train: t.csv}}
intervals: 0.9
features: {{a: {{type: number}}}}
"""
N_NEW = 20_000


def values(n, seed):
    """Predictions whose errors grow with them and are longer upwards."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(10, 1_000, n)
    return Scored(predicted * rng.lognormal(0, 0.4, n), predicted)


def classes(n, seed, rare=0.04):
    """Calibrated probabilities of three classes, one of them rare."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([rare * 10, 3, 7], n)
    y = (p.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
    return Scored(y, p)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.99])
def test_intervals_hold_the_stated_share_of_new_values(level):
    learnt = conformal.learn(level, values(2_000, 1), values(2_000, 2))

    new = values(N_NEW, 3)
    low, high = learnt.intervals(new.scores)

    covered = np.mean((low <= new.y) & (new.y <= high))
    assert covered == pytest.approx(level, abs=0.02)
    assert (low >= 0).all() and learnt.above > learnt.below


def test_intervals_are_wider_where_errors_are_larger():
    learnt = conformal.learn(0.9, values(2_000, 1), values(2_000, 2))

    low, high = learnt.intervals(np.array([20.0, 900.0]))

    assert high[1] - low[1] > 5 * (high[0] - low[0])


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_sets_hold_the_stated_share_of_each_class(level):
    learnt = conformal.learn(level, classes(4_000, 1), classes(100, 2))

    new = classes(N_NEW, 3)
    is_member = learnt.members(new.scores, new.scores.argmax(axis=1))

    for c in range(3):
        assert is_member[new.y == c, c].mean() >= level - 0.03
    assert is_member.any(axis=1).all()


def test_too_few_rows_ask_those_of_the_folds_and_then_give_up():
    learnt = conformal.learn(0.9, values(10, 1), values(100, 2))

    assert learnt.n_rows == 110
    with pytest.raises(TooFewRowsError, match="needs 19 rows"):
        conformal.learn(0.9, values(3, 1), values(10, 2))


def test_a_class_of_too_few_rows_is_in_every_set():
    rows = Scored(np.array([0] * 30 + [1]), np.tile([0.9, 0.1], (31, 1)))

    learnt = conformal.learn(0.9, rows, Scored(rows.y[:0], rows.scores[:0]))

    assert learnt.least[1] == 0.0


def test_answers_carry_their_interval_or_set():
    learnt = conformal.learn(0.9, values(500, 1), values(500, 2))
    spec = loads(SPEC.format(task="regression", target="{name: y}"))
    (answer,) = Judge(spec, conformal=Conformal.from_bytes(learnt.to_bytes())).answers(
        np.array([100.0]), ["id"], [[]]
    )
    learnt = conformal.learn(0.9, classes(500, 1), classes(500, 2))
    spec = loads(SPEC.format(task="classification", target="{name: y, classes: {0: a, 1: b, 2: c}}"))
    sure, unsure = Judge(spec, conformal=learnt).answers(
        np.array([[0.0, 0.0, 1.0], [0.3, 0.35, 0.35]]), ["id", "id"], [[], []]
    )

    assert answer.interval.low < 100 < answer.interval.high
    assert sure.class_set == ["c"] and len(unsure.class_set) > 1


def test_a_value_that_is_no_number_has_no_interval():
    learnt = conformal.learn(0.9, values(500, 1), values(500, 2))
    spec = loads(SPEC.format(task="regression", target="{name: y}"))

    (answer,) = Judge(spec, conformal=learnt).answers(np.array([np.nan]), ["id"], [[]])

    assert (answer.prediction, answer.interval) == (None, None)
