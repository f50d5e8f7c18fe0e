"""Counts that quality reports keep, of which pages make thresholds and errors without looking at rows."""

import numpy as np
import pytest

from app.dashboard import thresholds
from model import quality, spec
from model.quality import Answers

BINARY = """
name: t
task: classification
target: {name: y, classes: [no, yes]}
data: {train: t.csv}
features: {x: {type: number}}
metrics: [accuracy]
"""
REGRESSION = """
name: t
task: regression
target: {name: y}
data: {train: t.csv}
features: {x: {type: number}}
metrics: [mae]
"""


@pytest.fixture
def answers():
    """Answers of two classes with probabilities that fall on thresholds, too; some without a label."""
    rng = np.random.default_rng(1)
    probability = np.round(rng.random(400), 2)
    y_true = np.where(rng.random(400) < 0.2, np.nan, (rng.random(400) < probability).astype(float))
    return Answers((probability >= 0.5).astype(float), probability, y_true)


@pytest.mark.parametrize("place", [0, 29, 57, 58, 100])
def test_counts_say_what_any_threshold_would_have_answered(answers, place):
    counts = quality.measure(spec.loads(BINARY), answers, 0.5).scores
    labelled = answers.labelled()

    found = thresholds.every(counts)[place]

    said, truth = np.round(labelled.probability * 100) >= place, labelled.y_true == 1
    cells = (said & truth, said & ~truth, ~said & truth, ~said & ~truth)
    assert (found.n_right, found.n_wrong, found.n_missed, found.n_spared) == tuple(one.sum() for one in cells)


def test_counts_of_windows_are_those_of_all_their_rows(answers):
    whole = quality.measure(spec.loads(BINARY), answers, 0.5).scores
    halves = [Answers(*(column[part] for column in (answers.chosen, answers.probability, answers.y_true)))
              for part in (slice(150), slice(150, None))]  # fmt: skip

    parts = [quality.measure(spec.loads(BINARY), half, 0.5).scores for half in halves]

    assert thresholds.added(parts) == whole


def test_errors_are_counted_on_the_scale_of_the_version():
    chosen = np.array([10.0, 11.0, 12.0, 300.0])
    rows = Answers(chosen, None, np.array([10.0, 12.0, 12.4, 100.0]))

    found = quality.measure(spec.loads(REGRESSION), rows, 0.5, usual_error=1.0)

    counts = dict(zip([-np.inf, *found.residuals["edges"]], found.residuals["counts"], strict=True))
    assert {edge: n for edge, n in counts.items() if n} == {0.0: 1, -1.0: 1, -0.5: 1, 4.0: 1}
    assert [one["middle"] for one in found.by_answer] == pytest.approx([0, -1, -0.4, 200])


def test_without_a_scale_the_errors_give_one():
    rows = Answers(np.zeros(50), None, np.arange(50.0))

    found = quality.measure(spec.loads(REGRESSION), rows, 0.5)

    assert sum(found.residuals["counts"]) == 50
    assert found.residuals["edges"][-1] == pytest.approx(4 * 24.5)
