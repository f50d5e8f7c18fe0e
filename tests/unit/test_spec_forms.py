"""Texts with a form, numbers inside them, labels that stand for "not known", and rows of nothing."""

import json

import pytest

from model import frame, resolving, spec
from model.labels import LabelReader, UnknownLabelError
from model.schema import Schema
from utils.errors import InvalidRowsError, SpecError

TEXT = """
name: cars
task: regression
target: {name: price, unknown: [0, -1]}
data: {train: cars.csv}
features:
  mileage: {type: category, pattern: '([0-9.,]+) kmpl', min: 5, max: 60, missing: true, example: 20 kmpl}
  name: {type: category, categories: [], missing: true}
"""
CARS = spec.loads(TEXT)


def warnings_of(row, ours=CARS):
    (found,) = Schema(ours).from_json(json.dumps(row).encode()).warnings
    return [(warning.code, warning.feature) for warning in found]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("23.4 kmpl", []),
        ("60 kmpl", []),
        ("61 kmpl", [("out_of_range", "mileage")]),
        ("1,000 kmpl", [("out_of_range", "mileage")]),
        ("0.0 kmpl", [("out_of_range", "mileage")]),
        ("23.4 mpg", [("unknown_form", "mileage")]),
        ("23.4 kmpl\n", [("unknown_form", "mileage")]),
        (". kmpl", []),
        (None, []),
    ],
)
def test_a_text_with_a_form_is_judged_by_its_form_and_number(text, codes):
    assert warnings_of({"mileage": text, "name": "x"}) == codes


def test_any_text_is_usual_where_the_categories_are_an_empty_list():
    assert warnings_of({"name": "Nobody has seen this name"}) == []


def test_another_form_is_refused_where_the_spec_refuses_what_is_unseen():
    strict = spec.loads(TEXT + "unseen: refuse\nout_of_range: refuse\n")

    with pytest.raises(InvalidRowsError) as problem:
        Schema(strict).from_json(b'[{"mileage": "fast"}, {"mileage": "99 kmpl"}]')

    assert [(f.pointer, f.code) for f in problem.value.faults] == [
        ("#/0/mileage", "unknown_form"),
        ("#/1/mileage", "out_of_range"),
    ]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"mileage": null}', b'[{"name": "x"}, {}]', b'{"data": {"other": 1}}']
)
def test_a_row_of_nothing_is_refused_where_nothing_is_required(body):
    with pytest.raises(InvalidRowsError) as problem:
        Schema(CARS).from_json(body)

    assert [fault.code for fault in problem.value.faults] == ["empty"]


def test_the_range_of_the_numbers_inside_is_learnt():
    features = CARS.features | {
        "mileage": spec.Feature(type="category", pattern="([0-9.]+) kmpl", missing=True)
    }
    rows = [{"mileage": text, "price": 1.0} for text in ("20 kmpl", "20 kmpl", "7.5 kmpl", "none", None)]
    ours = spec.Spec(name="c", task="regression", target=CARS.target, data=CARS.data, features=features)

    found = resolving.resolve(ours, frame.labelled_rows(ours, rows)).features["mileage"]

    assert (found.min, found.max, found.example, found.categories) == (7.5, 20.0, "20 kmpl", None)


@pytest.mark.parametrize("value", [0, "0", 0.0, "0.0", -1])
def test_a_label_that_stands_for_not_known_is_none(value):
    rows = frame.labelled_rows(CARS, [{"name": "a", "price": value}, {"name": "b", "price": 5}])

    assert (rows.y.tolist(), rows.n_unlabelled) == ([5.0], 1)
    with pytest.raises(UnknownLabelError, match="not known"):
        LabelReader(CARS).read(value)


def test_a_class_that_stands_for_not_known_is_no_class():
    ours = spec.loads(TEXT.replace("regression", "classification").replace("[0, -1]", "['?']"))
    rows = frame.as_table([{"name": "a", "price": price} for price in ("low", "high", "?")])

    assert resolving.with_classes(ours, rows).labels == ("high", "low")


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("{type: number, pattern: x}", "is a number and has no pattern"),
        ("{type: category, pattern: '('}", "is no regular expression"),
        ("{type: category, pattern: 'x', min: 1}", "has no range, unless the pattern has a group"),
        ("{type: category, pattern: '(x)', categories: [x]}", "has both categories and a pattern"),
    ],
)
def test_a_form_that_makes_no_sense_is_an_error_of_the_spec(feature, message):
    with pytest.raises(SpecError, match=message):
        spec.loads(TEXT + f"  other: {feature}\n")
