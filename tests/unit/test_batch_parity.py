"""What a worker says about the rows of a file is what ``/predict`` says, warnings and log included."""

import csv
import io
import json
import random

import bson
import msgspec
import pandas as pd
import pytest
from pyarrow import ipc

from data import tables
from mlops.answer_log import SpooledAnswers
from mlops.batch.cutting import parts
from mlops.batch.places import files
from mlops.batch.scoring import MODEL_FILE, Order, score_part
from mlops.batch.workfolder import Packed, Plan, WorkFolder
from mlops.record import decode, documents
from mlops.redaction import Redaction
from mlops.sealing import Sealing
from mlops.serving import Serving
from model import artifact, frame, spec, training
from model.packing import pack
from model.versions import loaded
from utils.errors import InvalidRowsError

KEY = b"the key of these tests"
OWN = """
name: rooms
task: classification
target: {name: y, classes: [cheap, fair, dear]}
data: {train: rooms.csv, separator: ";", decimal: ",", missing_values: ["", "?"]}
pipeline: tests.small_pipelines:boosted
id: key
subject: guest
intervals: 0.8
novelty: 0.01
features:
  price: {type: number, min: 0, max: 90}
  floor: {type: category}
  stars: {type: integer, min: 1, max: 5, missing: true}
  view: {type: boolean, missing: true}
"""
ODD = ("", "?", "NA", "abc", "-7", "3.0", "03", "2,5", "1e3", "true", "No", " 4", "1_0", "99999", 'a "b"; c')
MODELS = ("titanic", "cars", "trees", "rooms")
FOR_LOG = {"_id", "request_id", "at", "latency_ms", "spool", "seq", "row"}  # differ from request to request


def table_of(name, folder):
    """The spec, with a pipeline that is fitted in a moment, and rows of text."""
    if name == "rooms":
        draw = random.Random(5)
        table = [rooms_row(draw, i) for i in range(260)]
        return spec.loads(OWN), table
    path = tables.make(name, folder, rows=300)
    found, _ = spec.find(name, (spec.BUNDLED,))
    pipeline = "linear" if found.task == "regression" else "boosted"
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    return msgspec.structs.replace(found, pipeline=f"tests.small_pipelines:{pipeline}"), table


def rooms_row(draw, i):
    """A row as the table has it: decimal commas."""
    price, stars = draw.uniform(5, 80), draw.randint(1, 5)
    y = ("cheap", "fair", "dear")[min(2, int(price / 30 + draw.random()))]
    row = {"price": f"{price:.2f}".replace(".", ","), "floor": str(draw.randint(1, 4)), "stars": str(stars)}
    return row | {"view": draw.choice(["true", "false"]), "key": f"k{i}", "guest": f"g{i % 9}", "y": y}


class Kept:
    """Where answers are kept, with nothing in between."""

    def __init__(self):
        self.records = []

    def append(self, payload, n_rows):
        """Keep one request."""
        self.records.append(payload)


class World:
    """One version behind ``/predict`` and before a worker."""

    def __init__(self, name, folder, redacted=()):
        self.spec, self.table = table_of(name, folder)
        path = folder / "training.csv"
        path.write_text(as_csv(self.table, self.spec.data.separator), encoding="utf-8")
        trained = training.train(self.spec, frame.read_table(path, self.spec))
        self.manifest, self.parts = pack(trained, "1", KEY)
        self.folder, self.kept, self.redacted = folder, Kept(), list(redacted)
        redaction = Redaction(redacted, lambda: KEY)
        log = SpooledAnswers(lambda: self.kept, lambda: None, redaction, Sealing())
        self.serving = Serving(
            {name: self.spec}, self.load, lambda: {name: {"version": "1"}}, log, max_rows=1_000
        )
        self.serving.refresh()
        self.served = self.serving.champion(name)

    def load(self, model, version):
        """Return the version as a web process does."""
        return loaded(self.manifest, self.parts.__getitem__)

    def read(self, body, *, is_csv):
        """What the rows of a body become."""
        schema = self.served.schema
        return schema.from_csv(body) if is_csv else schema.from_json(body)

    def request(self, body, *, is_csv):
        """The answers of ``/predict`` to a body, and what it logs."""
        answered = self.serving.predict(self.served, self.read(body, is_csv=is_csv), "r")
        answers = json.loads(msgspec.json.encode(answered.answers))
        return answers, documents(decode(self.kept.records[-1]), "spool", 0)

    def score(self, path, kind="ndjson"):
        """What a worker makes of a file, in one part: answers, refused rows, log, counts."""
        content = msgspec.msgpack.encode(Packed(self.manifest, self.parts))
        folder = WorkFolder(f"file://{self.folder}/{path.name}.{kind}.parts")
        folder.write(MODEL_FILE, content)
        plan = Plan(
            model=self.spec.name, version="1", digest=artifact.digest(content), is_logged=True, inputs=[],
            part_bytes=2**20, id="batch", first_id="0190b5f0-0000-7000-8000-000000000000",
            redacted=self.redacted,
        )  # fmt: skip
        (part,) = parts(files(str(path)), self.spec)
        done = score_part(part, Order(folder, plan, kind, False, KEY))
        out, bad, log = (folder.read(f"000000.{ending}") for ending in ("out", "bad", "log"))
        return out, [json.loads(line) for line in bad.splitlines()], bson.decode_all(log or b""), done


@pytest.fixture(scope="module", params=MODELS)
def world(request, tmp_path_factory):
    """One of several models."""
    return World(request.param, tmp_path_factory.mktemp(request.param))


def as_csv(table, separator=","):
    """Rows as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def changed(table, seed, odd=ODD, n_rows=120):
    """Rows some of whose cells are odd, or those of another row."""
    draw = random.Random(seed)
    found = [dict(draw.choice(table)) for _ in range(n_rows)]
    for row in found[::2]:
        for name in draw.sample(list(row), draw.randint(1, 2)):
            row[name] = draw.choice([*odd, draw.choice(table)[name], draw.choice(table)[name]])
    return found


def same_as_requests(world, path, table, body_of, *, is_csv):
    """Compare a file with requests: refused rows one by one, the others all at once."""
    out, refused, log, done = world.score(path)
    bad = {one["row"] for one in refused}
    for one in refused:
        with pytest.raises(InvalidRowsError) as caught:
            world.read(body_of([table[one["row"] - 1]]), is_csv=is_csv)
        assert codes(caught.value.faults) == sorted(error["code"] for error in one["errors"])
    good = [row for number, row in enumerate(table, 1) if number not in bad]
    answers, documents = world.request(body_of(good), is_csv=is_csv)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [sorted_warnings(one, answers[0]) for one in lines] == [
        sorted_warnings(one, answers[0]) for one in answers
    ]
    assert [logged(one) for one in log] == [logged(one) for one in documents]
    assert done.n_scored == len(good) and sum(done.reasons.values()) >= done.n_refused == len(bad)
    return lines


def codes(faults):
    """The codes of faults."""
    return sorted(fault.code for fault in faults)


def sorted_warnings(answer, like):
    """An answer without its id; fields that no spec knows are named in any order."""
    warnings = sorted(answer["warnings"], key=lambda one: one["feature"] * (one["code"] == "unknown_field"))
    names = (like.keys() | {"interval", "set"}) - {"prediction_id", "warnings"}
    return {name: answer.get(name) for name in names} | {"warnings": warnings}


def logged(document):
    """A document as far as it does not differ from request to request."""
    found = {name: value for name, value in document.items() if name not in FOR_LOG}
    return found | {"warnings": sorted(map(str, document["warnings"]))}


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_csv_are_answered_warned_about_and_logged_as_requests(world, tmp_path, seed):
    table = changed(world.table, seed)
    separator = world.spec.data.separator if seed else ","
    path = tmp_path / f"{seed}.csv"
    path.write_text(as_csv(table, separator), encoding="utf-8")

    lines = same_as_requests(world, path, table, lambda rows: as_csv(rows, separator).encode(), is_csv=True)

    assert any(one["warnings"] for one in lines)
    assert all("interval" in one or "set" in one for one in lines) or world.spec.intervals is None


def typed(row, world):
    """A row as JSON has it."""
    found = {}
    for name, text in row.items():
        kind = world.spec.features[name].type if name in world.spec.features else "text"
        number = text.replace(world.spec.data.decimal, ".")
        try:
            found[name] = float(number) if kind in ("number", "integer") else text
        except ValueError:
            found[name] = text
    return found


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_ndjson_are_answered_warned_about_and_logged_as_requests(world, tmp_path, seed):
    odd = (None, "", "abc", -7, 3.0, 3, 1e300, True, "2.5", [1])
    table = changed([typed(row, world) for row in world.table], seed, odd)
    path = tmp_path / f"{seed}.ndjson"
    path.write_bytes(msgspec.json.Encoder().encode_lines(table))

    same_as_requests(world, path, table, msgspec.json.encode, is_csv=False)


def test_rows_of_parquet_are_answered_warned_about_and_logged_as_requests(world, tmp_path):
    table = pd.DataFrame([typed(row, world) for row in world.table])
    numbers = [name for name in table if world.spec.features.get(name, None) and table[name].dtype == object]
    for name in [n for n in numbers if world.spec.features[n].type in ("number", "integer")]:
        table[name] = pd.to_numeric(table[name])
    for name in world.spec.texts:
        if name in table and pd.to_numeric(table[name], errors="coerce").notna().all():
            table[name] = pd.to_numeric(table[name]).astype(float)  # 3.0 for a category "3"
    table.to_parquet(tmp_path / "rows.parquet", index=False)
    rows = [{k: None if v != v else v for k, v in row.items()} for row in table.to_dict("records")]

    same_as_requests(world, tmp_path / "rows.parquet", rows, msgspec.json.encode, is_csv=False)


def test_csv_and_parquet_have_the_interval_or_the_set_of_ndjson(world, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(as_csv(changed(world.table, 9), world.spec.data.separator), encoding="utf-8")

    lines = [json.loads(line) for line in world.score(path)[0].splitlines()]
    columns = ipc.open_stream(world.score(path, "parquet")[0]).read_all().to_pylist()
    names = list(columns[0])
    texts = list(csv.DictReader(io.StringIO(world.score(path, "csv")[0].decode()), names))

    if world.spec.task == "classification":
        assert [one["set"] for one in columns] == [one["set"] for one in lines]
        assert [json.loads(one["set"]) for one in texts] == [one["set"] for one in lines]
        return
    ends = [(one["interval"]["low"], one["interval"]["high"]) for one in lines]
    assert [(one["interval_low"], one["interval_high"]) for one in columns] == ends
    assert [(float(one["interval_low"]), float(one["interval_high"])) for one in texts] == ends


def test_what_the_log_may_not_see_is_changed_as_for_requests(tmp_path):
    world = World("rooms", tmp_path, ("guest:hash", "price:drop", "key:mask"))
    path = tmp_path / "rows.csv"
    path.write_text(as_csv(world.table, ";"), encoding="utf-8")

    same_as_requests(world, path, world.table, lambda rows: as_csv(rows, ";").encode(), is_csv=True)

    _, _, log, _ = world.score(path)
    assert log[0]["features"]["price"] is None and "g0" not in str(log[0])
