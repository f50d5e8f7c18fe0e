"""Columns read from raw BSON are what decoding each document would give."""

from datetime import UTC, datetime, timedelta

import bson
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.mongo.raw_rows import array_of, read_rows

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["tempo", "a.b", "$c", "größe"]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from(["", "a", "b", "ab\0", "ä"]),
)
ROWS = st.lists(
    st.tuples(st.lists(VALUES, min_size=4, max_size=4), st.sampled_from("12"), st.integers(0, 3)), max_size=5
)


def document(seq, values, version, n_names):
    features = dict(list(zip(NAMES, values, strict=True))[: 4 - n_names])
    head = {"seq": seq, "model": "songs", "version": version, "at": START + timedelta(milliseconds=seq)}
    return head | {"features": features, "prediction": values[0], "probability": values[1]}


def read(documents):
    return read_rows(array_of(bson.encode({"found": documents}), "found"))


def as_list(column):
    return column.tolist() if isinstance(column, np.ndarray) else column


def told(value):
    """Return what counting sees: 3 and 3.0 are one, and None and NaN, and True is not 1."""
    if isinstance(value, bool | str) or value is None:
        return value
    return None if value != value else float(value)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(1, 20))
def test_columns_hold_what_the_documents_hold(rows, times):
    documents = [document(seq, *row) for seq, row in enumerate(rows * times)]
    found = {}
    for table in read(documents):
        for place, seq in enumerate(table.seq.tolist()):
            features = {name: told(as_list(column)[place]) for name, column in table.features.items()}
            found[seq] = (
                table.version,
                int(table.at_ms[place]),
                features,
                told(as_list(table.prediction)[place]),
            )

    assert len(found) == len(documents)
    for one in documents:
        version, at_ms, features, prediction = found[one["seq"]]
        assert version == one["version"]
        assert at_ms == round(one["at"].timestamp() * 1000)
        assert {n: v for n, v in features.items() if v is not None} == {
            name: told(value) for name, value in one["features"].items() if told(value) is not None
        }
        assert prediction == told(one["prediction"])


def test_rows_with_more_than_simple_values_are_read_too():
    rows = [document(seq, [1.0, 0.5, "x", None], "1", 0) for seq in range(40)]
    rows[7]["features"]["tempo"] = [1, 2]
    rows[8]["features"]["tempo"] = {"deep": {"er": 1}}

    (table,) = read(rows)

    assert sorted(table.seq.tolist()) == list(range(40))
    assert [1, 2] in table.features["tempo"]


def test_nothing_gives_no_tables():
    assert read([]) == []


@pytest.mark.parametrize("n_warned", [0, 1, 40])
def test_warnings_are_read_with_their_rows(n_warned):
    warning = {"code": "unseen", "feature": "genre", "detail": "polka"}
    documents = [
        document(seq, [1.0] * 4, "1", 0) | {"warnings": [warning] if seq < n_warned else []}
        for seq in range(80)
    ]

    (table,) = read(documents)

    found = dict(zip(table.seq.tolist(), table.warnings, strict=True))
    assert found == {seq: [warning] if seq < n_warned else None for seq in range(80)}
