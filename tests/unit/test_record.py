"""Answered requests on their way into the log: whatever a row held can be stored, and says the same."""

import math
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import bson
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.record import LoggedRequest, UnreadableRecordError, decode, documents, encode
from model.columns import RowWarning
from utils.mongo.shape import SCHEMA_VERSION

AT = datetime(2026, 5, 4, 3, 2, 1, 987_000, UTC)

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text()
numpy_scalars = st.one_of(
    st.floats().map(np.float64),
    st.floats(width=32).map(np.float32),
    st.floats(width=16).map(np.float16),
    st.floats(allow_nan=False).map(np.longdouble),
    st.integers(0, 2**64 - 1).map(np.uint64),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.booleans().map(np.bool_),
    st.text().map(np.str_),
    st.datetimes().map(np.datetime64),
)
odd = st.one_of(
    st.integers(),
    st.integers(2**63, 2**70),
    st.integers(10, 20_000).map(lambda digits: 10**digits),
    st.text(st.characters(categories=["Cs", "Cc", "Lu"])),
    st.decimals(),
    st.datetimes(),
    st.dates(),
    st.uuids(),
    st.binary(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers(2**64)),
    numpy_scalars,
)


def record(**changes):
    fields = {
        "request_id": "r",
        "model": "songs",
        "version": "3",
        "at": AT,
        "served_by": "compiled",
        "latency_ms": 0.25,
        "names": ("tempo", "genre"),
        "values": [(98.5, "latin"), (None, None)],
        "ids": ["a", "b"],
        "predictions": [1, 0],
    }
    return LoggedRequest(**fields | changes)


def stored(**changes):
    """The documents of a record after its way through the spool and BSON."""
    logged = decode(encode(record(**changes)))
    return [bson.decode(bson.encode(document)) for document in documents(logged, "s", 41)]


def one_value(value):
    return stored(names=["x"], values=[[value]], ids=["a"], predictions=[value])[0]


def test_a_row_becomes_one_document():
    [first, _] = stored(probabilities=[0.93, 0.07])

    assert first == {
        "_id": "a",
        "request_id": "r",
        "row": 0,
        "model": "songs",
        "version": "3",
        "at": AT.replace(tzinfo=None),
        "features": {"tempo": 98.5, "genre": "latin"},
        "prediction": 1,
        "probability": 0.93,
        "warnings": [],
        "subject": None,
        "latency_ms": 0.25,
        "served_by": "compiled",
        "spool": "s",
        "schema_version": SCHEMA_VERSION,
        "seq": 41,
    }


def test_rows_keep_their_order_and_count_on():
    assert [(row["_id"], row["row"], row["seq"]) for row in stored()] == [("a", 0, 41), ("b", 1, 42)]


def test_what_is_odd_about_a_row_is_kept_with_it():
    [first, second] = stored(warnings=[[RowWarning("range", "tempo", "98.5 is high.")], []])

    assert first["warnings"] == [{"code": "range", "feature": "tempo", "detail": "98.5 is high."}]
    assert second["warnings"] == []


def test_fields_that_are_not_scored_are_kept_beside_the_features():
    [first, second] = stored(kept={"id_new": [7, None]})

    assert (first["kept"], second["kept"]) == ({"id_new": 7}, {"id_new": None})
    assert "id_new" not in first["features"]


def test_a_subject_is_text_whatever_it_came_as():
    assert [row["subject"] for row in stored(subjects=[12, None])] == ["12", None]


@given(st.lists(plain, min_size=1, max_size=5))
def test_json_values_are_read_back_equal(values):
    [document] = stored(names=[str(i) for i in range(len(values))], values=[values], ids=["a"])

    assert repr(list(document["features"].values())) == repr(values)


@given(odd)
def test_no_value_breaks_bson(value):
    document = one_value(value)

    assert isinstance(document["features"]["x"], int | float | str | bool)


@given(st.text(), st.text())
def test_no_name_breaks_bson(name, other):
    [document] = stored(names=[name], values=[[1]], ids=["a"], kept={other: [2]})

    assert list(document["features"].values()) == [1]
    assert list(document["kept"].values()) == [2]


@given(odd)
def test_no_subject_and_no_kept_value_breaks_bson(value):
    [document] = stored(names=[], values=[[]], ids=["a"], subjects=[value], kept={"k": [value]})

    assert isinstance(document["subject"], str)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**63, 2.0**63),
        (-(2**63) - 1, -(2.0**63)),
        (2**64, 2.0**64),
        (10**400, str(10**400)),
        (np.uint64(2**64 - 1), 2.0**64),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (Decimal("0.10"), "0.10"),
        (date(2026, 5, 4), "2026-05-04"),
        (datetime(2026, 5, 4, 3, 2), "2026-05-04T03:02:00"),  # noqa: DTZ001  a naive one is the point
        ("\ud800x", "\\ud800x"),
        ([1, 2], "[1, 2]"),
        (math.inf, math.inf),
    ],
)
def test_values_that_bson_lacks_become_the_nearest_it_has(value, expected):
    assert one_value(value)["features"]["x"] == expected


def test_not_a_number_is_kept_as_it_is():
    assert math.isnan(one_value(math.nan)["features"]["x"])


@pytest.mark.parametrize("value", [2**63, 2**64 + 1])
def test_the_digits_of_an_id_are_not_rounded(value):
    [document] = stored(names=[], values=[[]], ids=["a"], subjects=[value], kept={"id_new": [value]})

    assert document["subject"] == document["kept"]["id_new"] == str(value)


def test_an_id_that_is_a_uuid_is_its_text():
    value = uuid.UUID(int=7)

    assert one_value(value)["features"]["x"] == str(value)


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x91\x01", msgspec.msgpack.encode({"a": 1})])
def test_bytes_that_are_no_record_say_so(payload):
    with pytest.raises(UnreadableRecordError):
        decode(payload)
