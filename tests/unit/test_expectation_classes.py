"""Quality before labels for three classes, of which the log has the probability of the answer only."""

import numpy as np
import pytest

from model import expectation, quality, spec
from model.quality import Answers

SPEC = spec.loads("""
name: t
task: classification
target: {name: y, classes: [a, b, c]}
data: {train: t.csv}
features: {x: {type: number}}
metrics: [accuracy, precision, recall, f1]
""")


def drawn(n, seed):
    """Return true classes and the scores of a model that is too sure of itself and confuses two classes."""
    rng = np.random.default_rng(seed)
    chance = rng.dirichlet([0.5, 0.8, 0.3], n)
    y = (rng.random(n)[:, None] > chance.cumsum(axis=1)[:, :-1]).sum(axis=1)
    sure = chance**2
    return y, sure / sure.sum(axis=1, keepdims=True)


def answers(y, scores):
    return Answers(scores.argmax(axis=1).astype(float), scores.max(axis=1), y.astype(float))


@pytest.fixture(scope="module")
def learnt():
    found = expectation.learn(*drawn(5_000, 0), None)
    return expectation.Expectation.from_bytes(found.to_bytes())


def test_the_estimate_is_near_what_labels_say(learnt):
    rows = answers(*drawn(5_000, 1))

    estimated = quality.expect(SPEC, rows, 0.5, learnt).metrics
    realised = quality.measure(SPEC, rows, 0.5).metrics

    assert set(estimated) == {"accuracy", "precision", "recall", "f1"}
    for name, found in realised.items():
        assert estimated[name]["value"] == pytest.approx(found["value"], abs=0.03), name


def test_without_drift_the_gap_is_no_alarm_and_with_confused_labels_it_is_one(learnt):
    y, scores = drawn(400, 2)
    confused = np.where(y == 0, 1, np.where(y == 1, 0, y))

    assert not quality.gap(SPEC, "accuracy", answers(y, scores), 0.5, learnt).is_drift
    assert quality.gap(SPEC, "accuracy", answers(confused, scores), 0.5, learnt).is_drift


def test_the_chances_of_the_classes_are_one_in_all(learnt):
    rows = answers(*drawn(100, 3))

    chances = learnt.chances(rows.chosen, rows.probability, None)

    assert chances.shape == (100, 3)
    assert chances.sum(axis=1) == pytest.approx(1)
    assert (chances >= 0).all()


def test_the_calibration_is_that_of_the_answer():
    rows = answers(*drawn(2_000, 4))

    bins = quality.measure(SPEC, rows, 0.5).calibration

    assert sum(one["n_rows"] for one in bins) == 2_000
    assert bins[-1]["probability"] > bins[-1]["share"]


def test_a_class_that_was_never_answered_wrongly_counts_on_the_usual_others():
    y = np.repeat([0, 1, 2], 30)

    found = expectation.learn(y, np.eye(3)[y] * 0.8 + 0.1, None)

    assert np.asarray(found.others).sum(axis=1) == pytest.approx(1)
