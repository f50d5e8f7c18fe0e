"""Metrics of many resamples agree with those of one table, and their intervals cover."""

import numpy as np
import pytest

from model import resampling, spec
from model.evaluation import evaluate

HEAD = "name: t\ndata: {train: t.csv}\nfeatures: {a: {type: number}}\n"
TWO = spec.loads(HEAD + "task: classification\ntarget: {name: y, classes: [0, 1]}")
THREE = spec.loads(HEAD + "task: classification\ntarget: {name: y, classes: [a, b, c]}")
VALUE = spec.loads(HEAD + "task: regression\ntarget: {name: y}")


def table(which, n, seed=0):
    """Labels and scores, with ties."""
    rng = np.random.default_rng(seed)
    if which is VALUE:
        y = rng.lognormal(size=n)
        return y, y * rng.lognormal(size=n)
    k = len(which.labels)
    y = rng.integers(0, k, n)
    scores = np.round(rng.dirichlet(np.ones(k), n) * 0.6 + 0.4 * np.eye(k)[y], 2)
    return y, scores


@pytest.mark.parametrize("which", [TWO, THREE, VALUE], ids=["two classes", "three classes", "values"])
def test_a_resample_is_measured_as_the_rows_that_it_has(which):
    y, scores = table(which, 60)
    counts = next(resampling.resamples(60, 5))

    for row in counts:
        drawn = np.repeat(np.arange(60), row.astype(int))
        expected = evaluate(which, y[drawn], scores[drawn], 0.4)
        for name, value in expected.items():
            found = resampling.metric_of(which, name, y, scores, 0.4)(row[None, :])[0]
            assert found == pytest.approx(np.nan if value is None else value, nan_ok=True), name


def test_every_resample_has_as_many_rows_as_the_table_and_a_seed_repeats_them():
    first, second = (np.vstack(list(resampling.resamples(40, 30, seed=7))) for _ in range(2))

    assert (first.sum(axis=1) == 40).all()
    assert (first == second).all()


def test_nine_of_ten_intervals_of_90_percent_cover_the_truth():
    covered = 0
    for seed in range(100):
        y, _ = table(VALUE, 150, seed)
        y_pred = y + np.random.default_rng(1_000 + seed).normal(size=150)
        metric = resampling.metric_of(VALUE, "mae", y, y_pred)
        ends = resampling.percentiles(resampling.resampled(metric, 150, 300), 0.9)
        covered += ends.low <= np.sqrt(2 / np.pi) <= ends.high

    assert 82 <= covered <= 97


def test_a_metric_that_is_hardly_ever_defined_has_no_interval():
    ends = resampling.percentiles(np.array([0.5] * 50 + [np.nan] * 50), 0.9)

    assert (ends.low, ends.high) == (None, None)
