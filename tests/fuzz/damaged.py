"""What a fuzzer sends: bodies and files that were right before some of it was changed."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from app.bodies import example_row, example_split, example_tensors
from model import spec
from model.spec import Spec

Row = dict[str, Any]

PATHS = sorted((Path(spec.__file__).parent / "specs").glob("*.yaml"))
TEXTS = [path.read_text() for path in PATHS]
EVERY_KIND = spec.loads(
    """
name: every
task: classification
target: {name: y, classes: {0: low, 1: high}}
data: {train: x.csv, missing_values: ["", NA], separator: ";", decimal: ","}
id: key
subject: who
ignored: [note]
features:
  n: {type: number, min: 0, max: 500, missing: true, example: 1.5}
  i: {type: integer, min: 1, max: 9, example: 3}
  c: {type: category, categories: [Bilbao, "São Paulo"], missing: true, example: Bilbao}
  b: {type: boolean, missing: true, example: true}
  d: {type: date, missing: true, example: "2024-02-29"}
  m: {type: category, pattern: "([0-9.]+) m2", min: 5, max: 90, missing: true, example: 8 m2}
"""
)
TYPICAL = {"number": 1.5, "integer": 3, "boolean": True, "category": "a", "date": "2024-02-29"}


def with_examples(one: Spec) -> Spec:
    """Return a spec as training leaves it, with a typical value of each feature."""
    features = {
        name: msgspec.structs.replace(feature, example=feature.example or TYPICAL[feature.type])
        for name, feature in one.features.items()
    }
    return msgspec.structs.replace(one, features=features)


SPECS = {one.name: with_examples(one) for one in (*map(spec.loads, TEXTS), EVERY_KIND)}
ODD_VALUES = [
    None, True, -1, 0, 2**63, -(2**64), 10**400, 1e308, "", " ", "NaN", "-inf", "1e999", "\0", "\ud7ff",
    "9" * 500, [], {}, [[]], {"$gt": 0}, {"$where": "1"}, "2024-02-30", "0000-00-00", "9999-12-31T23:59:60Z",
    "1_0", "\uff11",
]  # fmt: skip
ODD_BYTES = [
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\u", b"\\ud800",
    b"1e999", b"-", b"NaN", b"9" * 400, b"[" * 2_000, b'{"a":' * 2_000, b"\n", b"\r", b"\t", b";", b"'",
    b"\x1f\x8b", b"/*",
]  # fmt: skip
ODD_YAML = [
    "2026-99-99", "!!int x", "!!timestamp x", "? [a]", "{}", "[]", "~", "1e999", "-.inf", ".nan", "'", "&a",
    "*a", "<<: {a: 1}", "%YAML 9.9\n---", "...", "1:60:60", "!!set {a}", "|", "on: x", "(?P<", "\t", ": ",
    "!!python/object/apply:os.system [x]", "&a [*a]", "[" * 1_000, "0x", "\0", "\u2028", "0o9", "9" * 5_000,
]  # fmt: skip

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(ODD_VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
changes = st.lists(
    st.tuples(
        st.integers(0, 1 << 20), st.integers(0, 40), st.sampled_from(ODD_BYTES) | st.binary(max_size=4)
    ),
    max_size=4,
)


def changed(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Return a body with some places cut out and something else put there."""
    for place, n_gone, put in edits:
        start = place % (len(body) + 1)
        body = body[:start] + put + body[start + n_gone :]
    return body


def encoded(value: object) -> bytes:
    """Return JSON, with what is no JSON (NaN, lone surrogates) as Python's own writes it."""
    return json.dumps(value).encode()


@st.composite
def rows(draw: st.DrawFn, of: Spec) -> list[Row]:
    """Rows of which some have wrong values, lack fields or have others."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        row = example_row(of)
        for name in draw(st.lists(st.sampled_from([*row, "other", "", of.target.name]), max_size=3)):
            row[name] = draw(json_values)
        for name in draw(st.lists(st.sampled_from(sorted(row)), max_size=1)):
            del row[name]
        found.append(row)
    return found


@st.composite
def json_bodies(draw: st.DrawFn, of: Spec) -> bytes:
    """Bodies of predictions and retrainings."""
    given = draw(rows(of))
    shape = draw(st.sampled_from(["list", "one", "data", "instances", "any"]))
    body: object = {
        "list": given,
        "one": given[0] if given else {},
        "data": {"data": given},
        "instances": {"instances": given},
        "any": draw(json_values),
    }[shape]
    return changed(encoded(body), draw(changes))


@st.composite
def csv_bodies(draw: st.DrawFn, of: Spec) -> bytes:
    """CSV of predictions, labels and files."""
    separator = draw(st.sampled_from([of.data.separator, ",", "\t"]))
    given = draw(rows(of)) or [example_row(of)]
    lines = [separator.join(example_row(of))]
    lines += [separator.join(str(value) for value in row.values()) for row in given]
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return changed((end.join(lines) + end).encode(errors="replace"), draw(changes))


@st.composite
def line_bodies(draw: st.DrawFn, of: Spec) -> bytes:
    """One JSON object a line."""
    lines = [encoded(row) for row in draw(rows(of))] + draw(st.lists(json_values.map(encoded), max_size=2))
    return changed(b"\n".join(lines), draw(changes))


@st.composite
def frame_bodies(draw: st.DrawFn, of: Spec) -> bytes:
    """What MLflow's clients send."""
    body = draw(
        st.sampled_from(
            [
                example_split(of),
                {"dataframe_split": {"columns": draw(json_values), "data": draw(json_values)}},
                {"dataframe_records": draw(rows(of))},
                {"inputs": {name: draw(json_values) for name in example_row(of)}},
                {"instances": [list(example_row(of).values()), draw(json_values)]},
            ]
        )
    )
    return changed(encoded(body), draw(changes))


@st.composite
def tensor_bodies(draw: st.DrawFn, of: Spec) -> tuple[bytes, int | None]:
    """Requests of the Open Inference Protocol, and the length of their JSON where raw data follows."""
    body = example_tensors(of)
    for tensor in body["inputs"]:
        for name in draw(
            st.lists(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), max_size=1)
        ):
            tensor[name] = draw(
                st.sampled_from(["FP16", "BYTES", [1, 0], [-1, 1], [1 << 40] * 2]) | json_values
            )
    if not draw(st.booleans()):
        return changed(encoded(body), draw(changes)), None
    raw = b""
    for tensor in body["inputs"]:
        part = draw(st.binary(max_size=12)) if tensor.get("datatype") != "FP64" else struct.pack("<d", 1.5)
        tensor.pop("data", None)
        tensor["parameters"] = {"binary_data_size": draw(st.just(len(part)) | json_values)}
        raw += part
    head = encoded(body)
    size = draw(st.just(len(head)) | st.integers(0, len(head) + len(raw) + 5))
    return changed(head + raw, draw(changes)), size


@st.composite
def label_bodies(draw: st.DrawFn) -> bytes:
    """Labels in JSON."""
    entry = {"prediction_id": draw(st.text(max_size=40) | json_values), "label": draw(json_values)}
    body = draw(st.sampled_from([entry, [entry, entry], {"labels": [entry]}]) | json_values)
    return changed(encoded(body), draw(changes))


@st.composite
def spec_texts(draw: st.DrawFn) -> str:
    """Spec files."""
    text = draw(st.sampled_from(TEXTS))
    edits = st.tuples(
        st.integers(0, 10_000), st.integers(0, 40), st.sampled_from(ODD_YAML) | st.text(max_size=3)
    )
    for place, n_gone, put in draw(st.lists(edits, min_size=1, max_size=4)):
        start = place % (len(text) + 1)
        text = text[:start] + put + text[start + n_gone :]
    return text


def of_spec(make: Callable[[Spec], st.SearchStrategy[Any]]) -> st.SearchStrategy[tuple[str, Any]]:
    """Return the names of specs, each with what is made for it."""
    return st.sampled_from(sorted(SPECS)).flatmap(lambda name: st.tuples(st.just(name), make(SPECS[name])))
