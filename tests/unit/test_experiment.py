"""Experiments: which candidates there are, how they are ranked, what is said where something is missing."""

import sys

import numpy as np
import pytest

from model import curves, experiment, spec
from model.experiment import Bench, Candidate
from utils.errors import SpecError, UnavailableError

SPEC = spec.loads("""
name: t
task: regression
target: {name: y}
data: {train: t.csv}
pipeline: tests.small_pipelines:linear
features: {a: {type: number}, kind: {type: category}}
metrics: [rmse, r2]
""")


def table(n=150):
    rng = np.random.default_rng(0)
    return [{"a": a, "kind": "uv"[i % 2], "y": 3 * a + i % 2} for i, a in enumerate(rng.normal(size=n))]


@pytest.fixture(scope="module")
def bench():
    return Bench(SPEC, table())


def test_a_grid_is_every_combination_of_its_lists():
    found = experiment.grid(
        SPEC, [{"model": "forest", "n_trees": [5, 9], "min_leaf": [1, 2]}, {"model": "spec"}]
    )

    assert len(found) == 5
    assert found[0].parameters == {"n_trees": 5, "min_leaf": 1}
    assert found[-1].pipeline == SPEC.pipeline


@pytest.mark.parametrize("entry", [{"model": "tree"}, {"n_trees": 3}, "forest"])
def test_an_entry_without_a_model_that_there_is_says_what_there_is(entry):
    with pytest.raises(SpecError, match="spec, linear, forest"):
        experiment.grid(SPEC, [entry])


def test_candidates_are_ranked_by_the_deciding_metric_and_failures_come_last(bench):
    grid = experiment.grid(
        SPEC, [{"model": "nowhere:nothing"}, {"model": "forest", "n_trees": 5}, {"model": "linear"}]
    )

    ranked = experiment.run(bench, grid)

    assert [one.candidate.name for one in ranked] == ["linear", "forest", "nowhere:nothing"]
    assert ranked[0].value("rmse") < ranked[1].value("rmse")
    assert "cannot be made" in ranked[2].problem


def test_the_winner_s_spec_is_one_that_can_be_written_down(bench):
    won = experiment.with_candidate(SPEC, Candidate("forest", "a:b", {"n_trees": 5}))

    assert spec.loads(spec.dumps(won)) == won


def test_a_search_without_optuna_says_what_to_install(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(UnavailableError, match="pip install -r requirements-local"):
        experiment.search(SPEC, bench, 2)


def test_pictures_of_a_regression_show_answers_against_the_truth(bench):
    ranked = experiment.run(bench, experiment.grid(SPEC, [{"model": "linear"}]))

    found = curves.pictures(bench, ranked)

    assert set(found) == {"ranking.svg", "truth.svg"}
    assert found["truth.svg"].count("<circle") == len(bench.rows)
