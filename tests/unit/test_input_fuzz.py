"""A small share of ``tests.fuzz.inputs``: what comes in is read, or refused with what is wrong."""

import json

import pytest

from app.protocols import tensors
from model.schema import Schema, parse_json
from tests.fuzz import inputs
from tests.fuzz.damaged import SPECS
from utils.errors import BadRequestError, InvalidRowsError


@pytest.mark.parametrize("target", inputs.TARGETS)
def test_damaged_inputs_are_read_or_refused(target):
    assert inputs.fuzz(target, 60, seed=1) >= 60


@pytest.mark.parametrize(
    "body",
    [b'{"a": 1e999, x', b"[1e999," + b"[" * 100_000, b'[1e999, "\xff"]', b'{"\xff": 1}', b"[" + b"9" * 5_000],
    ids=lambda body: str(body[:16]),
)
def test_json_that_is_wrong_in_two_ways_is_refused(body):
    with pytest.raises(BadRequestError):
        parse_json(body)
    with pytest.raises((BadRequestError, InvalidRowsError)):
        Schema(SPECS["songs"]).from_json(body)


def test_a_header_of_one_name_very_often_is_read_as_quickly_as_any():
    body = b",".join([b"a"] * 300_000) + b"\n1\n"  # would take minutes, were each compared with all before it

    with pytest.raises(InvalidRowsError):
        Schema(SPECS["songs"]).from_csv(body)


def test_a_shape_of_very_many_sizes_is_refused():
    tensor = {"name": "a", "datatype": "INT64", "shape": [10**18] * 200_000, "data": []}

    with pytest.raises(InvalidRowsError, match="sizes at most"):
        tensors.read(json.dumps({"inputs": [tensor]}).encode(), None)
