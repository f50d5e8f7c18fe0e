"""Rows are checked against the spec: good ones in one pass, others with every fault and oddity named."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.schema import Schema, parse_json
from model.spec import loads
from utils.errors import BadRequestError, InvalidRowsError, TooLargeError

SPEC = """\
name: mixed
task: regression
target: {name: y}
data: {train: mixed.csv}
id: ref
subject: person
ignored: [extra]
features:
  size: {type: number, min: 0, max: 10}
  rooms: {type: integer, min: 0, max: 5, missing: true}
  kind/of: {type: category, categories: [flat, house]}
  new: {type: boolean}
  sold: {type: date, min: 0, max: 30000}
"""
ROW = {"size": 2.5, "rooms": 3, "kind/of": "flat", "new": True, "sold": "2020-02-29"}


@pytest.fixture
def schema():
    return Schema(loads(SPEC), max_rows=5)


def codes(schema, row):
    with pytest.raises(InvalidRowsError) as caught:
        schema.from_json(json.dumps(row).encode())
    return {fault.pointer: fault.code for fault in caught.value.faults}


def test_a_row_becomes_numbers_and_texts_in_spec_order(schema):
    batch = schema.from_json(json.dumps(ROW).encode())

    assert batch.numbers.tolist() == [[2.5, 3.0, 1.0, 18321.0]]
    assert batch.texts.tolist() == [["flat"]]
    assert batch.values == [(2.5, 3, "flat", True, "2020-02-29")]


@pytest.mark.parametrize("body", [ROW, [ROW], {"data": ROW}, {"data": [ROW]}, {"instances": [ROW]}], ids=str)
def test_all_shapes_of_body_give_the_same_row(schema, body):
    batch = schema.from_json(json.dumps(body).encode())

    assert batch.values == [(2.5, 3, "flat", True, "2020-02-29")]


def test_the_order_of_the_keys_does_not_matter(schema):
    shuffled = dict(reversed(ROW.items()))

    assert schema.from_json(json.dumps(shuffled).encode()).values == [tuple(ROW.values())]


def test_csv_gives_the_same_as_json(schema):
    text = "sold,new,kind/of,rooms,size,ref\n2020-02-29,yes,flat,3,2.5,r1\n2020-02-29,0,house,,1,r2\n"

    batch = schema.from_csv(text.encode())

    assert batch.values[0] == (2.5, 3, "flat", True, "2020-02-29")
    assert batch.values[1] == (1, None, "house", False, "2020-02-29")
    assert batch.references == ["r1", "r2"]
    assert math.isnan(batch.numbers[1, 1])


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"size": "2.5"}, "#/size", "type"),
        ({"size": True}, "#/size", "type"),
        ({"size": None}, "#/size", "missing"),
        ({"size": {"$gt": ""}}, "#/size", "type"),
        ({"size": [2.5]}, "#/size", "type"),
        ({"rooms": 1.5}, "#/rooms", "type"),
        ({"rooms": 10**30}, "#/rooms", "too_large"),
        ({"kind/of": {"a": 1}}, "#/kind~1of", "type"),
        ({"kind/of": ["flat"]}, "#/kind~1of", "type"),
        ({"kind/of": "x" * 10_001}, "#/kind~1of", "too_long"),
        ({"new": "perhaps"}, "#/new", "type"),
        ({"new": 2}, "#/new", "type"),
        ({"sold": "2020-02-30"}, "#/sold", "type"),
        ({"sold": 20200229}, "#/sold", "type"),
        ({"ref": {"a": 1}}, "#/ref", "type"),
    ],
)
def test_a_fault_has_a_pointer_and_a_code(schema, change, pointer, code):
    assert codes(schema, ROW | change) == {pointer: code}


def test_integers_beyond_floats_are_refused_not_crashed_on(schema):
    for digits in (400, 5_000):
        body = json.dumps(ROW).replace("2.5", "9" * digits).encode()

        with pytest.raises((InvalidRowsError, BadRequestError)):
            schema.from_json(body)


def test_all_faults_of_all_rows_are_named(schema):
    assert codes(schema, {"data": [ROW, ROW | {"size": "x", "new": None}, 7]}) == {
        "#/data/1/size": "type",
        "#/data/1/new": "missing",
        "#/data/2": "type",
    }


@pytest.mark.parametrize(
    ("change", "code", "feature"),
    [
        ({"size": 11}, "out_of_range", "size"),
        ({"kind/of": "castle"}, "unseen_category", "kind/of"),
        ({"kind/of": 2.5}, "unseen_category", "kind/of"),
        ({"kind/of": True}, "unseen_category", "kind/of"),
        ({"sold": "2099-01-01"}, "out_of_range", "sold"),
        ({"colour": "red"}, "unknown_field", "colour"),
    ],
)
def test_what_is_odd_is_answered_with_a_warning(schema, change, code, feature):
    (warnings,) = schema.from_json(json.dumps(ROW | change).encode()).warnings

    assert [(warning.code, warning.feature) for warning in warnings] == [(code, feature)]


def test_a_strict_spec_refuses_unknown_fields():
    strict = Schema(loads(SPEC + "strict: true\n"))

    assert codes(strict, ROW | {"colour": "red"}) == {"#/colour": "unknown_field"}


def test_a_spec_may_refuse_what_is_out_of_range_or_unseen():
    strict = Schema(loads(SPEC + "out_of_range: refuse\nunseen: refuse\n"))

    assert codes(strict, ROW | {"size": 11, "kind/of": "castle"}) == {
        "#/size": "out_of_range",
        "#/kind~1of": "unseen_category",
    }


def test_id_and_subject_are_kept_beside_the_row(schema):
    batch = schema.from_json(json.dumps(ROW | {"ref": 17, "person": "ana", "extra": 4}).encode())

    assert (batch.references, batch.subjects, batch.warnings) == ([17], ["ana"], [[]])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b'{"size": NaN}', b"[" * 100_000, b"{}x"])
def test_what_is_not_strict_json_is_a_bad_request(schema, body):
    with pytest.raises(BadRequestError):
        schema.from_json(body)


def test_no_rows_and_too_many_rows_are_refused(schema):
    with pytest.raises(InvalidRowsError):
        schema.from_json(b"[]")
    with pytest.raises(TooLargeError, match="6 rows"):
        schema.from_json(json.dumps([ROW] * 6).encode())


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["flat", "house", "castle", "2020-02-29", "1969-12-31", "", "x"]),
    st.lists(st.integers(), max_size=1),
)


@given(st.dictionaries(st.sampled_from([*ROW, "ref", "person", "extra", "other"]), VALUES))
def test_the_fast_reading_says_what_the_examining_one_says(change):
    """Rows are decoded by a generated type where they are regular; that must never change the verdict."""
    schema = Schema(loads(SPEC))
    row = ROW | change

    fast, slow = (
        outcome(read)
        for read in (
            lambda: schema.from_json(json.dumps(row).encode()),
            lambda: schema.from_rows([row], lambda i: "#"),
        )
    )

    assert fast == slow


def outcome(read):
    try:
        batch = read()
    except InvalidRowsError as error:
        return error.faults
    numbers = np.nan_to_num(batch.numbers, nan=-1e300).tolist()
    return numbers, batch.texts.tolist(), batch.warnings, batch.references, batch.subjects


def test_a_number_that_equals_a_category_s_text_is_that_category():
    ours = loads(
        "name: c\ntask: regression\ntarget: {name: y}\ndata: {train: t.csv}\n"
        "features: {c: {type: category, categories: ['3', '7.50', '01234', a, 'True']}}"
    )

    batch = Schema(ours).from_rows([{"c": value} for value in (3.0, "3.0", 7.5, 1234, True, "a")])

    assert [row[0] for row in batch.values] == ["3", "3", "7.50", "01234", "True", "a"]
    assert not any(batch.warnings)


def test_a_number_that_could_be_two_categories_is_neither():
    ours = loads(
        "name: c\ntask: regression\ntarget: {name: y}\ndata: {train: t.csv}\n"
        "features: {c: {type: category, categories: ['1.0', '01']}}"
    )

    batch = Schema(ours).from_rows([{"c": 1}])

    assert [one.code for one in batch.warnings[0]] == ["unseen_category"]


SEMICOLONS = """
name: c
task: regression
target: {name: y}
data: {train: t.csv, separator: ';', decimal: ','}
features: {a: {type: number}, a.1: {type: integer}, 'Unnamed: 2': {type: category}}
"""


@pytest.mark.parametrize("text", ["a;a;\n1,5;2;x\n", "a,a,\n1.5,2,x\n", "\ufeffa;a;\r\n1,5;2;x\r\n\r\n"])
def test_a_csv_body_may_look_like_the_training_table(text):
    batch = Schema(loads(SEMICOLONS)).from_csv(text.encode())

    assert batch.values == [(1.5, 2, "x")]


@pytest.mark.parametrize(
    ("behind", "told"),
    [
        (b'"b": bad}', "not JSON"),
        (b'"b": NaN}', "no number"),
        (b'"b": ' + b"[" * 100_000, "too deeply"),
        (b'"b": "\xff"}', "not UTF-8"),
        (b'"b": "\\ud800"}', "half of a character"),
        (b'"\\ud800": 1}', "half of a character"),
    ],
)
def test_a_fault_behind_a_number_beyond_a_double_is_told_as_any_other(behind, told):
    with pytest.raises(BadRequestError, match=told):
        parse_json(b'{"a": 1e400, ' + behind)
