"""Slices of a spec: which rows are in them, and what is none."""

import pytest

from model import frame, slices, spec
from utils.errors import SpecError

SPEC = """
name: t
task: classification
target: {name: y, classes: [0, 1]}
data: {train: t.csv}
features:
  fuel: {type: category, missing: true}
  year: {type: integer, missing: true}
  is_new: {type: boolean}
promotion: {slices: {one: %s}}
"""
ROWS = [
    {"fuel": "gas", "year": 2001, "is_new": True},
    {"fuel": "oil", "year": 2010, "is_new": False},
    {"fuel": None, "year": None, "is_new": False},
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{feature: fuel, values: [gas, coal]}", [True, False, False]),
        ("{feature: year, max: 2001}", [True, False, False]),
        ("{feature: year, min: 2001, max: 2010}", [True, True, False]),
        ("{feature: is_new, values: [true]}", [True, False, False]),
    ],
)
def test_rows_are_in_a_slice_by_value_or_range_and_gaps_in_none(text, expected):
    given = spec.loads(SPEC % text)

    found = slices.members(given, frame.features_frame(given, ROWS))

    assert found["one"].tolist() == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{feature: colour, values: [red]}", "none of the features"),
        ("{feature: fuel}", "either values or a range"),
        ("{feature: fuel, min: 3}", "name its values"),
        ("{feature: year, values: [2001]}", "say its range"),
    ],
)
def test_a_slice_that_cannot_be_says_what_would_be_right(text, words):
    with pytest.raises(SpecError, match=words):
        spec.loads(SPEC % text)


def test_the_key_on_is_no_truth_value_in_a_spec():
    text = (SPEC % "{feature: year, max: 2001}") + "retrain: {on: [quality]}\n"

    assert spec.loads(text).retrain.on == ("quality",)
    assert spec.loads(spec.dumps(spec.loads(text))) == spec.loads(text)
