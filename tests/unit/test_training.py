"""Training: from a spec and rows to a measured, compiled model."""

import logging

import numpy as np
import pytest

from model import spec, training
from model.fallback import SklearnPredictor
from model.golden import replay
from model.monitoring import PREDICTION, PROBABILITY
from model.predictor import CompiledPredictor
from model.thresholds import choose_threshold
from model.training import TrainingError, train
from utils.errors import SpecError

PIPELINES = "tests.small_pipelines"
TEXT = """
name: t
task: {task}
target: {{name: y{classes}}}
data: {{train: t.csv}}
pipeline: {pipeline}
features:
  a: {{type: number}}
  b: {{type: number, missing: true}}
"""


def given(task="classification", pipeline="logistic", classes=""):
    return spec.loads(TEXT.format(task=task, pipeline=f"{PIPELINES}:{pipeline}", classes=classes))


def rows(n_rows=300, share=0.5, seed=1):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n_rows))
    y = a + b + rng.normal(size=n_rows) / 2
    label = (y > np.quantile(y, 1 - share)).astype(int)
    return [{"a": a[i], "b": b[i], "y": int(label[i]), "value": y[i]} for i in range(n_rows)]


def numbers(n_rows=300):
    return [row | {"y": row["value"]} for row in rows(n_rows)]


def test_the_resolved_spec_metrics_and_counts_come_with_the_model():
    trained = train(given(), [*rows(), {"a": 1.0, "b": 2.0}])

    assert trained.spec.labels == (0, 1)
    assert trained.metrics["roc_auc"] > 0.9
    assert trained.cross_validation["roc_auc"]["mean"] > 0.9
    assert trained.trained_on["n_rows"] == 300
    assert trained.trained_on["n_unlabelled"] == 1
    assert 30 < trained.trained_on["n_held_out"] < 90


def test_the_compiled_model_answers_the_golden_rows():
    trained = train(given(), rows())

    assert replay(CompiledPredictor(trained.compiled), trained.golden).is_ok
    assert replay(SklearnPredictor(trained.pipeline, ["a", "b"], []), trained.golden).is_ok


def test_the_same_rows_give_the_same_model():
    first, second = (train(given(), rows()) for _ in range(2))

    assert (first.metrics, first.threshold) == (second.metrics, second.threshold)
    assert first.golden.to_bytes() == second.golden.to_bytes()


def test_a_regression_is_measured_as_one():
    trained = train(given("regression", "linear"), numbers())

    assert trained.metrics["r2"] > 0.8
    assert set(trained.reference.features) == {"a", "b", PREDICTION}


def test_the_reference_counts_every_row_and_what_was_answered():
    trained = train(given(), rows())

    assert trained.reference.counts.n_rows == 300
    assert set(trained.reference.features) == {"a", "b", PREDICTION, PROBABILITY}


def test_rows_that_serving_would_refuse_are_left_out_aloud(caplog):
    with caplog.at_level(logging.WARNING):
        trained = train(given(), [*rows(), {"a": None, "b": 1.0, "y": 1}])

    assert trained.trained_on["n_incomplete"] == 1
    assert "1 of 301 rows are left out: they lack a" in caplog.text


def test_steps_are_told_as_they_begin():
    told = []
    train(given(), rows(), lambda *step: told.append(step))

    assert [n_done for _, n_done, _ in told] == list(range(7))
    assert {n_steps for _, _, n_steps in told} == {7}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows(19), "19 usable rows are too few; 20 are needed"),
        (
            [row | {"b": 1, "a": None} for row in rows(50)],
            "Left out: 50 without a value that the spec requires",
        ),
        ([row | {"y": min(i, 1)} for i, row in enumerate(rows(50))], "1 usable rows have the label 0 in 'y'"),
    ],
)
def test_rows_that_cannot_be_learnt_from_say_why(table, message):
    with pytest.raises(TrainingError, match=message):
        train(given(classes=", classes: [0, 1]"), table)


def test_a_constant_target_cannot_be_learnt():
    with pytest.raises(TrainingError, match="All rows have the same 'y', 3"):
        train(given("regression", "linear"), [row | {"y": 3} for row in rows(50)])


@pytest.mark.parametrize("pipeline", ["no_such_function", "abs_of_sum", "LogisticRegressio"])
def test_a_pipeline_that_cannot_be_made_is_an_error_of_the_spec(pipeline):
    with pytest.raises(SpecError, match=pipeline):
        train(given(pipeline=pipeline), rows())


def test_a_pipeline_that_cannot_be_compiled_serves_as_it_is(caplog):
    with caplog.at_level(logging.WARNING):
        trained = train(given(pipeline="unknown_to_the_compiler"), rows())

    assert trained.compiled is None
    assert "FunctionTransformer" in trained.not_compiled


def test_the_function_of_a_pipeline_gets_the_resolved_spec():
    text = TEXT.format(task="classification", pipeline=f"{PIPELINES}:logistic", classes="")
    ours = spec.loads(text[: text.index("features:")] + "features: {kind: {type: category}}")
    trained = train(ours, [{"kind": "ab"[i % 2], "y": "no" if i % 2 else "yes"} for i in range(60)])

    assert trained.metrics["accuracy"] == 1


def test_half_is_the_threshold_of_balanced_classes():
    assert train(given(), rows()).threshold == 0.5


@pytest.mark.parametrize("positive", [0, 1])
def test_the_threshold_of_a_rare_class_has_the_largest_f1(positive):
    ours = spec.loads(
        TEXT.format(task="classification", pipeline="x:y", classes=f", classes: [0, 1], positive: {positive}")
    )
    rng = np.random.default_rng(3)
    is_rare = rng.random(2_000) < 0.05
    p = np.clip(0.25 * is_rare + 0.3 * rng.random(2_000), 0, 1)
    cut = choose_threshold(ours, is_rare.astype(int), np.column_stack([1 - p, p]))
    f1 = [
        2 * (is_rare & (p >= c)).sum() / (is_rare.sum() + (p >= c).sum())
        for c in np.linspace(0.01, 0.54, 400)
    ]

    chosen = p >= cut if positive == 1 else 1 - p < cut
    assert 2 * (is_rare & chosen).sum() / (is_rare.sum() + chosen.sum()) >= max(f1)


def test_three_classes_have_no_threshold_but_the_half():
    table = [row | {"y": "abc"[i % 3], "a": float(i % 3)} for i, row in enumerate(rows(90))]
    trained = train(given(), table)

    assert trained.threshold == 0.5
    assert trained.metrics["accuracy"] == 1


def test_a_class_of_two_rows_is_learnt_all_the_same():
    table = [row | {"y": "rare" if i < 2 else "ab"[i % 2]} for i, row in enumerate(rows(60))]

    assert training.train(given(), table).spec.labels == ("a", "b", "rare")
