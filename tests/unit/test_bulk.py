"""Files are checked column by column; each row gets what a request with that row would get."""

import csv
import io
import random

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mlops.batch import reading
from mlops.batch.cutting import parts
from mlops.batch.places import files
from mlops.batch.reading import chunks
from model import spec
from model.answer import Judge
from model.bulk.answers import answers, scored
from model.bulk.checking import BulkSchema
from model.predictor import UnscorableRowsError
from model.schema import Schema
from utils.errors import InvalidRowsError

SPEC = spec.loads(
    """
name: rooms
task: classification
target: {name: y, classes: {0: free, 1: booked}}
data: {train: rooms.csv, missing_values: ["", NA, "?"]}
id: key
subject: guest
ignored: [note]
features:
  price: {type: number, min: 0, max: 500}
  beds: {type: integer, min: 1, max: 9, missing: true}
  town: {type: category, categories: [Bilbao, "São Paulo", "3"], missing: true}
  view: {type: boolean, missing: true}
  built: {type: date, missing: true, min: 0}
  size: {type: category, pattern: "([0-9.]+) m2", min: 5, max: 90, missing: true}
  street: {type: category, categories: [], missing: true}
"""
)
CELLS = {
    "price": [
        "10",
        "10.5",
        "1e2",
        " 7",
        "+3",
        "-1",
        "501",
        "cheap",
        "",
        "NA",
        "nan",
        "inf",
        "1_0",
        "9" * 400,
    ],
    "beds": ["1", "2", "3.0", "2.5", "10", "", "?", "9007199254740993", "two"],
    "town": ["Bilbao", "São Paulo", "3", "3.0", "Faro", "", 'a "b", c', "two\nlines"],
    "view": ["true", "no", "1", "maybe", ""],
    "built": ["2001-01-31", "1969-12-31", "31.1.2001", "", "2001-01-31T12:00:00+02:00"],
    "size": ["20 m2", "3 m2", "big", ""],
    "street": ["Gran Vía", "", "NA", "?", "x" * 20],
    "key": ["k1", "", "7"],
    "guest": ["ana", ""],
    "other": ["x"],
}
USUAL = {"price": "10", "beds": "2", "town": "Bilbao", "view": "true", "built": "2001-01-31"}


def rows(n_rows, seed=1):
    """Rows of cells, usual ones and odd ones in turns."""
    draw = random.Random(seed)
    odd = [{name: draw.choice(cells) for name, cells in CELLS.items()} for _ in range(n_rows)]
    return [row | (USUAL if i % 3 else {}) for i, row in enumerate(odd)]


def one_by_one(read):
    """What a request with each row alone gets: (values, warnings) or the faults."""
    found = []
    for batch in read:
        try:
            one = batch()
        except InvalidRowsError as error:
            found.append(
                sorted((f.pointer.split("/", 2)[-1].removeprefix("#"), f.code) for f in error.faults)
            )
        else:
            found.append((one.numbers.tolist(), one.texts.tolist(), list(one.warnings[0])))
    return found


def column_by_column(path, part_bytes=10_000):
    """The same from a file."""
    schema, found = BulkSchema(SPEC), {}
    for part in parts(files(str(path)), SPEC, part_bytes):
        for chunk in chunks(part, schema):
            checked = schema.check(chunk)
            for i, row in enumerate(checked.rows.tolist()):
                warnings = [*checked.common, *checked.warnings.get(i, [])]
                found[row] = (
                    checked.numbers[i : i + 1].tolist(),
                    checked.texts[i : i + 1].tolist(),
                    warnings,
                )
            for one in checked.refused:
                found[one.row] = sorted((f.pointer.removeprefix("#").lstrip("/"), f.code) for f in one.faults)
    return [found[row] for row in sorted(found)]


def write_csv(path, table):
    """Write rows and return the path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


def as_csv(row):
    """One row as the body of a request."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue().encode()


@pytest.mark.parametrize("has_arrow", [True, False])
def test_rows_of_csv_get_what_requests_get(tmp_path, monkeypatch, has_arrow):
    monkeypatch.setattr(reading, "has_arrow", lambda: has_arrow)
    table, schema = rows(600), Schema(SPEC)

    found = column_by_column(write_csv(tmp_path / "rooms.csv", table))

    expected = one_by_one([lambda row=row: schema.from_csv(as_csv(row)) for row in table])
    assert str(found) == str(expected)


def test_rows_of_ndjson_get_what_requests_get(tmp_path):
    schema, draw = Schema(SPEC), random.Random(2)
    values = [1, 2.5, -1, 10**400, True, None, "Bilbao", "20 m2", "2001-01-31", [1], {"a": 1}, "NA", "true"]
    table = [{n: draw.choice(values) for n in CELLS if draw.random() < 0.9} for _ in range(600)]
    table += [{"price": 3, "key": 5}] * 20
    (tmp_path / "rooms.ndjson").write_bytes(b"".join(msgspec_line(row) for row in table))

    found = column_by_column(tmp_path / "rooms.ndjson")

    expected = one_by_one([lambda row=row: schema.from_json(msgspec_line(row)) for row in table])
    assert str(found) == str(expected)


def msgspec_line(row):
    """A row as JSON; huge integers, too."""
    import json

    return json.dumps(row).encode() + b"\n"


def test_rows_of_parquet_get_what_requests_get(tmp_path):
    table = pa.table(
        {
            "price": pa.array([1, None, 600, 4], pa.int32()),
            "beds": pa.array([1.0, float("nan"), 2.5, None]),
            "town": pa.array(["Bilbao", "Faro", None, "3"]).dictionary_encode(),
            "view": pa.array([True, False, None, True]),
            "built": pa.array([0, 11_000, None, -5], pa.date32()),
        }
    )
    parquet.write_table(table, tmp_path / "rooms.parquet", row_group_size=3)
    rows_of = [{k: None if v != v else v for k, v in row.items()} for row in table.to_pylist()]
    schema = Schema(SPEC)

    found = column_by_column(tmp_path / "rooms.parquet")

    bodies = [msgspec.json.encode(row) for row in rows_of]
    expected = one_by_one([lambda body=body: schema.from_json(body) for body in bodies])
    assert str(found) == str(expected)


def test_parquet_is_cut_within_row_groups(tmp_path):
    n_rows = 5_000
    parquet.write_table(pa.table({"price": np.arange(n_rows) % 500}), tmp_path / "rooms.parquet")

    cut = list(parts(files(str(tmp_path)), SPEC, 80_000))
    found = column_by_column(tmp_path / "rooms.parquet", 80_000)

    assert len(cut) == 5 and sum(part.n_rows for part in cut) == n_rows
    assert [row[0][0][0] for row in found] == (np.arange(n_rows) % 500).tolist()


class Picky:
    """A predictor that refuses negative prices."""

    served_by = "sklearn"

    def scores(self, numbers, texts):
        """Half and half."""
        if (numbers[:, 0] < 0).any():
            raise UnscorableRowsError("negative")
        return np.full((len(numbers), 2), 0.5)


def test_a_row_that_the_pipeline_refuses_does_not_stop_the_others(tmp_path):
    table = [{"price": -1 if i in (3, 8) else i} for i in range(10)]
    part = next(parts(files(str(write_csv(tmp_path / "a.csv", table))), SPEC))
    checked = BulkSchema(SPEC).check(next(chunks(part, BulkSchema(SPEC))))

    scores, is_taken, faults = scored(Picky(), checked)

    assert np.flatnonzero(~is_taken).tolist() == [3, 8] and len(faults) == 2
    assert answers(Judge(SPEC), scores, checked.take(is_taken)).values.tolist() == [0.5] * 8


def test_a_line_that_is_no_json_is_refused_alone(tmp_path):
    (tmp_path / "a.ndjson").write_bytes(b'\xef\xbb\xbf{"price": 1}\n\n{"price": \n[1]\n{"price": 2}\r\n')

    found = column_by_column(tmp_path / "a.ndjson")

    assert [one for one in found if isinstance(one, list)] == [[("", "not_json")], [("", "type")]]


def test_a_row_that_is_not_utf8_is_refused_alone(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"price,town\n1,Bilbao\n2,S\xe3o\n3,Faro\n")

    assert column_by_column(tmp_path / "a.csv")[1] == [("", "encoding")]


def test_short_and_long_rows_are_read_as_in_requests(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"price,town\n1\n2,Faro,x\n3,Bilbao\n")
    schema = Schema(SPEC)
    bodies = [b"price,town\n" + line for line in (b"1", b"2,Faro,x", b"3,Bilbao")]

    expected = one_by_one([lambda body=body: schema.from_csv(body) for body in bodies])
    assert str(column_by_column(tmp_path / "a.csv")) == str(expected)
