"""Everything goes to a folder and comes back, and to another MongoDB, byte for byte."""

import json
import uuid

import pytest
from bson import Binary, Int64, ObjectId

from mlops import moving
from tests.running import run
from utils.errors import ConflictError, IntegrityError, NotFoundError
from utils.mongo import connection
from utils.mongo.dump import Dump
from utils.mongo.versions import VersionStore
from utils.time import now

MANIFEST = {"version": "1", "z": 1, "a": {"y": 2.5, "b": None}}


def no_steps(what, n_done, n_steps):
    """Show nothing."""


@pytest.fixture
def filled(db):
    """A database with documents of every kind and a version with its parts."""
    db["predictions"].insert_many(
        {
            "_id": f"{n}", "at": now(), "model": "m", "features": {"a": n / 3, "b": "ñ\n" if n else None},
            "prediction": Int64(2**40), "kept": {"id": ObjectId()}, "warnings": [],
        }
        for n in range(3)
    )  # fmt: skip
    db["drift_counts"].insert_one({"_id": "c", "parts": {"a": Binary(b"\x00\xff")}, "nan": float("inf")})
    db["leases"].insert_one({"_id": "held"})
    VersionStore(db).add("m", MANIFEST, {"pipeline.joblib": b"\x00pickle", "../escape": b"x"})
    return db


@pytest.fixture
def other(mongo_uri):
    """Another, empty database."""
    found = connection.connect(mongo_uri, f"other_{uuid.uuid4().hex[:12]}")
    yield found
    found.client.drop_database(found.name)
    connection.close(found)


@pytest.fixture
def exported(filled, tmp_path):
    moving.export(Dump(filled), tmp_path / "out", no_steps)
    return tmp_path / "out"


def documents(db):
    return {name: list(db[name].find().sort("_id", 1)) for name in Dump(db).collections()}


def test_what_is_exported_comes_back_the_same(filled, exported, other):
    moving.load(Dump(other), exported, no_steps)

    assert documents(other) == documents(filled)
    assert VersionStore(other).manifest("m", "1") == MANIFEST
    assert list(VersionStore(other).manifest("m", "1")) == list(MANIFEST)
    assert VersionStore(other).part("m", "1", "pipeline.joblib") == b"\x00pickle"
    assert other["leases"].count_documents({}) == 0


def test_nothing_is_written_outside_of_the_folder(exported):
    inside = {path for path in exported.rglob("*") if path.is_file()}
    listed = json.loads((exported / "manifest.json").read_text())["files"]

    assert {exported / file["path"] for file in listed} <= inside
    assert not any(path.name == "escape" for path in exported.parent.iterdir())


@pytest.mark.parametrize("name", ["predictions.ndjson", "artifacts/m/1/pipeline.joblib"])
def test_a_changed_file_stores_nothing(exported, other, name):
    (exported / name).write_bytes((exported / name).read_bytes().replace(b"p", b"q"))

    with pytest.raises(IntegrityError, match=name):
        moving.load(Dump(other), exported, no_steps)
    assert Dump(other).collections() == []


def test_a_manifest_that_leads_elsewhere_stores_nothing(exported, other):
    manifest = json.loads((exported / "manifest.json").read_text())
    manifest["files"][0]["path"] = "../../etc/passwd"
    (exported / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(IntegrityError, match="outside of the folder"):
        moving.load(Dump(other), exported, no_steps)


def test_an_export_that_did_not_end_is_none(tmp_path, other):
    with pytest.raises(NotFoundError, match=r"manifest\.json"):
        moving.load(Dump(other), tmp_path, no_steps)


def test_a_database_that_is_not_empty_is_left_alone_unless_told(exported, filled):
    with pytest.raises(ConflictError, match="not empty"):
        moving.load(Dump(filled), exported, no_steps)
    before = documents(filled)

    moving.load(Dump(filled), exported, no_steps, is_merge=True)

    assert documents(filled) == before


def test_predictions_are_a_flat_table_for_other_tools(filled, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    moving.export(Dump(filled), tmp_path / "out", no_steps, with_parquet=True)

    table = parquet.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()

    assert [row["prediction_id"] for row in table] == ["0", "1", "2"]
    assert [row["feature.b"] for row in table] == [None, "ñ\n", "ñ\n"]
    assert table[0]["at"].tzinfo is not None


def test_one_command_copies_everything_into_another_mongodb(filled, other, mongo_uri, tmp_path):
    settings = {"MONGO_URI": mongo_uri, "MONGO_DB": filled.name, "STATE_DIR": tmp_path}

    done = run("mlops", "copy", "--to", mongo_uri, "--to-db", other.name, "--json", **settings)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["collections"]["predictions"]["n_documents"] == 3
    assert documents(other) == documents(filled)
    again = run("mlops", "copy", "--to", mongo_uri, "--to-db", other.name, **settings)
    assert (again.returncode, "not empty" in again.stderr) == (1, True)
