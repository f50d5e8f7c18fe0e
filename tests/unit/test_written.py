"""Numbers with units, currencies and marks between digits are numbers in files, requests and labels alike."""

import json

import pandas as pd
import pytest

from model import frame
from model.csv_body import rows_of
from model.labels import LabelReader, UnknownLabelError
from model.schema import Schema
from model.spec import Written, loads
from model.written import read, sample
from utils.errors import InvalidRowsError, SpecError

DOLLARS = Written(before=("$", "US$"), after=("USD",), thousands=",")
EUROS = Written(after=("€",), decimal=",", thousands=".")
SPEC = """\
name: homes
task: regression
target: {name: price, written: {before: [$], thousands: ','}}
data: {train: t.csv, separator: ";", decimal: ","}
features:
  rent: {type: number, max: 5000, written: {after: [€], decimal: ',', thousands: .}}
  people: {type: integer, missing: true, written: {thousands: ','}}
"""
ROWS = [{"rent": "1.234,50 €", "people": "2,500"}, {"rent": "950 €", "people": None}]


@pytest.mark.parametrize(
    ("text", "form", "number"),
    [
        ("$1,234.50", DOLLARS, 1234.5),
        ("US$ 1,234", DOLLARS, 1234.0),
        ("1234.5 usd", DOLLARS, 1234.5),
        ("-$5", DOLLARS, -5.0),
        ("$ -5", DOLLARS, -5.0),
        ("(5.00)", DOLLARS, -5.0),
        ("1,23,456", DOLLARS, 123456.0),
        ("1.234,50 €", EUROS, 1234.5),
        ("1.234", EUROS, 1234.0),
        (",5", EUROS, 0.5),
        ("1e3", EUROS, 1000.0),
        ("1\u202f234,5", Written(decimal=",", thousands=" "), 1234.5),
        ("45%", Written(after=("%",)), 45.0),
    ],
)
def test_a_text_is_read_as_the_number_that_it_stands_for(text, form, number):
    assert read(text, form) == number


@pytest.mark.parametrize(
    "text", ["", "$", "five", "12,34", "1,2345", "1.234,50", "(5", "5)", "5 €", "1 2", "NaN"]
)
def test_a_text_of_another_form_is_no_number(text):
    assert read(text, DOLLARS) is None


@pytest.mark.parametrize("form", [DOLLARS, EUROS, Written(), Written(after=("kg",))])
def test_a_sample_is_read_back(form):
    assert read(sample(form), form) == 1234.5


def test_requests_may_send_texts_and_numbers():
    schema = Schema(loads(SPEC), max_rows=5)

    texts = schema.from_json(json.dumps(ROWS).encode())
    numbers = schema.from_json(json.dumps([{"rent": 1234.5, "people": 2500}, {"rent": 950}]).encode())

    assert texts.numbers.tolist()[0] == numbers.numbers.tolist()[0] == [1234.5, 2500.0]
    assert texts.values == numbers.values


def test_csv_and_training_rows_are_read_as_requests_are():
    spec = loads(SPEC)
    body = "rent;people\n1.234,50 €;2,500\n1.234;\n".encode()

    table = frame.features_frame(spec, pd.DataFrame(ROWS))
    rows = rows_of(body, spec, 5)

    assert table["rent"].tolist() == [1234.5, 950.0]
    assert [row["rent"] for row in rows] == [1234.5, 1234.0]
    assert rows[0]["people"] == 2500


def test_other_forms_are_refused_with_one_that_would_be_right():
    with pytest.raises(InvalidRowsError) as caught:
        Schema(loads(SPEC), max_rows=5).from_json(b'{"rent": "$5", "people": "12,34"}')

    assert [fault.detail for fault in caught.value.faults] == [
        "'$5' is not a number, nor written like 1.234,50 €.",
        "'12,34' is not an integer, nor written like 1,234.",
    ]


def test_ranges_are_about_the_numbers():
    batch = Schema(loads(SPEC), max_rows=5).from_json(b'{"rent": "9.000 \xe2\x82\xac", "people": 1}')

    assert [warning.code for warning in batch.warnings[0]] == ["out_of_range"]


def test_labels_are_read_as_the_target_is_written():
    reader = LabelReader(loads(SPEC))

    assert (reader.read("$1,234"), reader.read(5)) == (1234.0, 5.0)
    with pytest.raises(UnknownLabelError, match="12,34"):
        reader.read("12,34")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("thousands: .", "thousands: ','", "same mark"),
        ("type: integer", "type: category", "only numbers"),
        ("task: regression", "task: classification", "only numbers"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(old, new, words):
    with pytest.raises(SpecError, match=words):
        loads(SPEC.replace(old, new, 1))
