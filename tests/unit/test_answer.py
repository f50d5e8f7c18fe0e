"""Scores become answers in the words of the spec."""

import msgspec
import numpy as np
import pytest

from model.answer import Judge
from model.columns import RowWarning
from model.spec import loads

TWO = """\
name: two
task: classification
target: {name: y, classes: {no: absent, yes: present}, positive: 'yes'}
data: {train: t.csv}
features: {a: {type: number}}
""".replace("no:", "'no':").replace("yes:", "'yes':")
THREE = TWO.replace("{'no': absent, 'yes': present}, positive: 'yes'", "{1: one, 2: two, 3: three}")
VALUE = """\
name: value
task: regression
target: {name: y, min: 0, max: 100}
data: {train: t.csv}
features: {a: {type: number}}
"""


def answers(spec, scores, threshold=0.5, warnings=None):
    found = Judge(loads(spec), threshold).answers(
        np.array(scores), [f"id{i}" for i in range(len(scores))], warnings or [[] for _ in scores]
    )
    return msgspec.to_builtins(found)


def test_two_classes_answer_the_probability_of_the_positive_one():
    (low, high) = answers(TWO, [[0.8, 0.2], [0.3, 0.7]])

    assert (low["prediction"], low["class"], low["probability"]) == ("no", "absent", 0.2)
    assert (high["prediction"], high["class"], high["probability"]) == ("yes", "present", 0.7)
    assert high["probabilities"] == {"absent": 0.3, "present": 0.7}


def test_the_threshold_of_the_version_decides():
    (answer,) = answers(TWO, [[0.8, 0.2]], threshold=0.2)

    assert answer["prediction"] == "yes"


def test_more_classes_answer_the_probability_of_the_predicted_one():
    (answer,) = answers(THREE, [[0.2, 0.5, 0.3]])

    assert (answer["prediction"], answer["class"], answer["probability"]) == (2, "two", 0.5)


def test_a_regression_answers_a_value_only():
    (answer,) = answers(VALUE, [42.0])

    assert answer == {"prediction_id": "id0", "prediction": 42.0, "warnings": []}


@pytest.mark.parametrize(
    ("value", "shown", "code"),
    [
        (101.0, 101.0, "implausible"),
        (-1.0, -1.0, "implausible"),
        (np.inf, None, "not_finite"),
        (np.nan, None, "not_finite"),
    ],
)
def test_values_outside_of_what_training_saw_are_flagged(value, shown, code):
    (answer,) = answers(VALUE, [value])

    assert answer["prediction"] == shown
    assert [warning["code"] for warning in answer["warnings"]] == [code]


def test_warnings_about_the_input_stay_with_their_row():
    odd = RowWarning("out_of_range", "a", "…")

    first, second = answers(VALUE, [1.0, 2.0], warnings=[[], [odd]])

    assert (first["warnings"], second["warnings"][0]["feature"]) == ([], "a")
