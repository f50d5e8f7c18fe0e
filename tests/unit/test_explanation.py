"""Contributions are Shapley values: exact where they say so, and with the error that they state elsewhere."""

import itertools
import math
import time

import numpy as np
import pytest

from model import explanation
from model.explanation import Explainer
from model.golden import Golden
from model.spec import loads
from utils.errors import TooLargeError

N_TEXTS = 1


class Formula:
    """A predictor of numbers ``a0...`` and a text."""

    served_by = "compiled"

    def __init__(self, function, is_class=False):
        self._function, self._is_class = function, is_class

    def scores(self, numbers, texts):
        value = self._function(numbers.T, (texts[:, 0] == "x").astype(float))
        if not self._is_class:
            return value
        p = 1 / (1 + np.exp(np.clip(-value, -700, 700)))
        return np.column_stack([1 - p, p])


def rows(n, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)), rng.choice(["x", "y"], (n, N_TEXTS)).astype(object)


def explainer(width, function, task="regression"):
    target = "{name: y}" if task == "regression" else "{name: y, classes: {0: a, 1: b}}"
    features = "".join(f"  a{i}: {{type: number}}\n" for i in range(width))
    spec = loads(
        f"name: f\ntask: {task}\ntarget: {target}\ndata: {{train: t.csv}}\nfeatures:\n"
        f"  word: {{type: category}}\n{features}"
    )
    predictor = Formula(function, is_class=task == "classification")
    numbers, texts = rows(100, width)
    golden = Golden(numbers, texts, predictor.scores(numbers, texts), n_usual=100)
    return Explainer(spec, predictor, golden), predictor


def explain(width, function, task="regression", n=1):
    found, predictor = explainer(width, function, task)
    numbers, texts = rows(n, width, seed=9)
    texts[:] = "x"
    return found.explain(numbers, texts, predictor.scores(numbers, texts)), numbers, found


def tangled(numbers, is_x):
    return numbers[0] * numbers[1] * (1 + is_x) + np.where(numbers[2] > 0, numbers[3], is_x) + numbers[4]


def test_all_coalitions_give_shapley_s_own_formula():
    (found,), numbers, ours = explain(5, tangled)

    names = list(found.contributions)
    assert names == ["word", "a0", "a1", "a2", "a3", "a4"]
    assert list(found.contributions.values()) == pytest.approx(_shapley(numbers[0], ours))
    assert (found.method, found.sampling_error) == ("exact", 0.0)


def _shapley(row, ours):
    """Contributions by definition: the mean over all orders of what a feature adds (text first)."""
    numbers, texts = ours._numbers, ours._texts
    value = {}
    for own in itertools.product([False, True], repeat=6):
        mixed = np.where(own[1:], row, numbers)
        words = np.where(own[:1], "x", texts).astype(object)
        value[own] = float(ours._predictor.scores(mixed, words).mean())
    phi = np.zeros(6)
    for own in value:
        for i in (i for i in range(6) if not own[i]):
            size = sum(own)
            weight = math.factorial(size) * math.factorial(5 - size) / math.factorial(6)
            phi[i] += weight * (value[(*own[:i], True, *own[i + 1 :])] - value[own])
    return phi


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_linear_model_of_many_features_is_explained_exactly(task):
    weights = np.linspace(-1, 1, 15)

    (found,), numbers, ours = explain(15, lambda n, is_x: weights @ n + 2 * is_x, task)

    wanted = weights * (numbers[0] - ours._numbers.mean(axis=0))
    assert [found.contributions[f"a{i}"] for i in range(15)] == pytest.approx(wanted)
    assert (found.method, found.sampling_error) == ("additive", 0.0)


def test_drawn_contributions_are_near_the_exact_ones_by_their_stated_error(monkeypatch):
    (exact,), _, _ = explain(7, lambda n, is_x: tangled(n, is_x) * np.exp(n[5] / 3) + n[6])
    monkeypatch.setattr(explanation, "MAX_EXACT", 2)
    (drawn,), _, _ = explain(7, lambda n, is_x: tangled(n, is_x) * np.exp(n[5] / 3) + n[6])

    gaps = [abs(exact.contributions[name] - drawn.contributions[name]) for name in exact.contributions]
    assert (drawn.method, drawn.base) == ("sampled", pytest.approx(exact.base))
    assert max(gaps) <= 5 * drawn.sampling_error


@pytest.mark.parametrize("width", [3, 12])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_contributions_add_up_to_the_score(width, task):
    found, _, _ = explain(width, lambda n, is_x: n[0] * n[1] + is_x * n[2] ** 2, task, n=3)

    for one in found:
        assert one.base + sum(one.contributions.values()) == pytest.approx(one.score)
        assert one.scale == ("value" if task == "regression" else "log_odds")


def test_probabilities_of_zero_and_one_have_finite_log_odds():
    (found,), _, _ = explain(9, lambda n, is_x: 1e6 * np.sign(n[0]), "classification")

    assert all(map(math.isfinite, found.contributions.values()))


def test_the_time_is_shared_by_all_rows_and_kept(monkeypatch):
    monkeypatch.setattr(explanation, "BUDGET_S", 0.0)
    monkeypatch.setattr(explanation, "GOOD", 0.0)
    calls = []

    found, _, _ = explain(12, lambda n, is_x: calls.append(time.monotonic()) or n[0] * n[1] * n[2], n=4)

    assert len(found) == 4
    assert len(calls) <= 4 + 4 * 2 * explanation.MIN_DRAWS


def test_too_many_rows_are_refused():
    with pytest.raises(TooLargeError, match="32"):
        explain(5, tangled, n=33)
