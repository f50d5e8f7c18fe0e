"""Whole files are scored on real Dask workers: as requests are, once, in order, and again after a kill."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

from mlops.batch.running import Request, Run, begun
from mlops.batch.shipping import Log
from mlops.operations import Operations
from mlops.services import build
from tests.e2e.small_model import small_model
from tests.running import LOG, ROOT, Service, environment, free_port, run, wait_until
from utils import settings as all_settings
from utils.errors import ConflictError, TableError, UnavailableError
from utils.mongo import connection
from utils.mongo.rejections import RejectionStore
from utils.time import now


@pytest.fixture(scope="module")
def settings(mongo_uri, tmp_path_factory):
    """A database in which ``small`` has a champion."""
    with small_model(mongo_uri, tmp_path_factory.mktemp("batch")) as found:
        yield found | {"STATE_DIR": tmp_path_factory.mktemp("state")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with two workers, each a process of its own as on other machines."""
    address, folder = f"tcp://127.0.0.1:{free_port()}", tmp_path_factory.mktemp("dask")
    port = address.rpartition(":")[2]
    commands = [["dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]]
    commands += [["dask_worker", address, "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]] * 2
    with (folder / "log").open("wb") as log:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command[0]}", *command[1:]],
                cwd=ROOT,
                env=environment(PYTHONPATH=ROOT),
                stdout=log,
                stderr=log,
            )
            for command in commands
        ]
    yield address
    for process in reversed(started):  # workers first, or they would look for their scheduler
        process.terminate()
        process.wait(60)


@pytest.fixture
def operations(settings):
    """Everything connected, with an empty log."""
    services = build(all_settings.load({name: str(value) for name, value in settings.items()}, None))
    for name in LOG:
        services.db[name].delete_many({})
    yield Operations(services)
    connection.close(services.db)


@pytest.fixture
def score(operations, cluster):
    """Score a file on the cluster and return the summary."""

    def scored(source, target, *, is_logged=False, **given):
        services = operations.services
        log = Log(services.predictions, RejectionStore(services.db)) if is_logged else None
        request = Request(str(source), str(target), log, cluster, part_bytes=1_000, **given)
        registry = services.registry
        version = begun(request, "small") or registry.champion("small")
        manifest = registry.manifest("small", version)
        one = Run(request, manifest, lambda name: registry.part("small", version, name))
        return one.run(lambda part, done: None)

    return scored


def write(path: Path, n_rows: int, bad: dict[int, str] | None = None) -> Path:
    """Write rows of the small model; ``bad`` replaces lines."""
    lines = [(bad or {}).get(i, f"{i / 100},{(i % 7) - 3}") for i in range(1, n_rows + 1)]
    path.write_text("a,b\n" + "".join(f"{line}\n" for line in lines))
    return path


def without_state(settings):
    """The settings for a service with a folder of its own."""
    return {name: value for name, value in settings.items() if name != "STATE_DIR"}


def rows_of(path):
    """The rows of a CSV file as dicts."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_answers_are_those_of_requests_in_the_order_of_the_rows(settings, score, tmp_path):
    source = write(tmp_path / "rows.csv", 500, {7: "9999,1", 8: "x,1"})

    summary = score(source, tmp_path / "scored.ndjson")
    with Service(tmp_path / "service", **without_state(settings)) as service:
        service.wait_until_ready()
        good = "\n".join(line for i, line in enumerate(source.read_text().splitlines()) if i != 8)
        _, answer = service.post("/predict", good.encode(), **{"Content-Type": "text/csv"})

    found = [json.loads(line) for line in (tmp_path / "scored.ndjson").read_text().splitlines()]
    assert [row.pop("row") for row in found] == [i for i in range(1, 501) if i != 8]
    expected = [{k: v for k, v in row.items() if k != "prediction_id"} for row in answer["predictions"]]
    assert found == expected and found[6]["warnings"]
    assert (summary.rows, summary.scored, summary.refused) == (500, 499, 1)
    assert summary.warned == sum(bool(row["warnings"]) for row in found)


def test_refused_rows_are_told_with_place_and_reason(score, tmp_path):
    summary = score(write(tmp_path / "rows.csv", 300, {5: "x,1", 250: ",2"}), tmp_path / "scored.csv")

    told = [json.loads(line) for line in Path(summary.refused_rows).read_text().splitlines()]
    assert [(one["row"], one["errors"][0]["code"], one["data"]) for one in told] == [
        (5, "type", {"a": "x", "b": 1}),
        (250, "missing", {"a": None, "b": 2}),
    ]
    assert len(rows_of(tmp_path / "scored.csv")) == 298
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.csv", "scored.csv", "scored.refused.ndjson"]


def test_all_endings_say_the_same(score, tmp_path):
    source = write(tmp_path / "rows.csv", 300, {9: "9999,1"})
    for ending in ("csv", "csv.gz", "ndjson", "parquet"):
        score(source, tmp_path / f"scored.{ending}")

    texts = rows_of(tmp_path / "scored.csv")
    lines = [json.loads(line) for line in (tmp_path / "scored.ndjson").read_text().splitlines()]
    table = parquet.read_table(tmp_path / "scored.parquet").to_pylist()
    assert (
        gzip.decompress((tmp_path / "scored.csv.gz").read_bytes()) == (tmp_path / "scored.csv").read_bytes()
    )
    assert [(int(t["row"]), float(t["probability"])) for t in texts] == [
        (one["row"], one["probability"]) for one in lines
    ]
    assert [{k: one[k] for k in row} for one, row in zip(lines, table, strict=True)] == table
    assert json.loads(texts[8]["warnings"]) == lines[8]["warnings"]


def test_a_compressed_file_and_a_folder_of_files_are_read(score, tmp_path):
    (tmp_path / "in").mkdir()
    plain = write(tmp_path / "in" / "a.csv", 200)
    (tmp_path / "in" / "b.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    lines = [json.dumps({"a": float(r["a"]), "b": int(r["b"])}) for r in rows_of(plain)]
    (tmp_path / "in" / "c.ndjson").write_text("\n".join(lines))

    score(tmp_path / "in", tmp_path / "scored.csv")

    found = rows_of(tmp_path / "scored.csv")
    by_file = {
        n: [r["probability"] for r in found if r["file"] == n] for n in ("a.csv", "b.csv.gz", "c.ndjson")
    }
    assert len(found) == 600 and len(by_file["a.csv"]) == 200
    assert by_file["a.csv"] == by_file["b.csv.gz"] == by_file["c.ndjson"]


def test_a_file_without_rows_gives_one_without_answers(score, tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n")

    for ending in ("csv", "ndjson", "parquet"):
        assert score(tmp_path / "rows.csv", tmp_path / f"scored.{ending}").rows == 0

    assert (tmp_path / "scored.csv").read_text() == "row,prediction,class,probability,warnings\n"
    assert (tmp_path / "scored.ndjson").read_text() == ""
    assert parquet.read_table(tmp_path / "scored.parquet").num_rows == 0


@pytest.mark.parametrize(
    "text, words", [("", "is empty"), ("a\n1\n", "lacking column: b"), ("\n", "is empty")]
)
def test_a_file_that_fits_no_row_stops_before_anything_is_written(score, tmp_path, text, words):
    (tmp_path / "rows.csv").write_text(text)

    with pytest.raises(TableError, match=words):
        score(tmp_path / "rows.csv", tmp_path / "scored.csv")

    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


class Stopped(Exception):
    """The run ended here."""


class Failing:
    """A log that is away after some calls."""

    def __init__(self, store, n_calls):
        self.store, self.n_calls = store, n_calls

    def add_many(self, documents):
        """Store half of the last call, as a kill in between would."""
        self.n_calls -= 1
        if self.n_calls:
            return self.store.add_many(documents)
        self.store.add_many(documents[: len(documents) // 2])
        raise UnavailableError("away")


def test_what_is_logged_is_there_once_after_an_interruption_and_counted(operations, score, cluster, tmp_path):
    source, target = write(tmp_path / "rows.csv", 900, {4: "x,1"}), tmp_path / "scored.csv"
    begun_at, refusals = now(), RejectionStore(operations.services.db)
    interrupted(operations, cluster, source, target)
    half = operations.services.db.predictions.count_documents({})
    n_first = operations.monitor.counter.count_new()

    summary = score(source, target, is_logged=True)

    assert 0 < half < 899 and n_first == half and summary.resumed_parts > 0
    stored = list(operations.services.db.predictions.find().sort("seq", 1))
    assert [one["_id"] for one in stored] == [row["prediction_id"] for row in rows_of(target)]
    assert [one["row"] for one in stored] == [i for i in range(1, 901) if i != 4]
    assert stored[0]["features"] == {"a": 0.01, "b": -2.0}
    assert stored[0]["version"] == operations.services.registry.champion("small")
    assert n_first + operations.monitor.counter.count_new() == 899
    assert refusals.counts("small", begun_at, now()) == {"type a": 1}


def interrupted(operations, cluster, source, target):
    """Begin a logged run of which MongoDB gets three parts and a half."""
    registry = operations.services.registry
    store, refusals = operations.services.predictions, RejectionStore(operations.services.db)
    version = registry.champion("small")
    request = Request(str(source), str(target), Log(Failing(store, 4), refusals), cluster, part_bytes=1_000)
    run = Run(request, registry.manifest("small", version), lambda n: registry.part("small", version, n))
    with pytest.raises(UnavailableError):
        run.run(lambda part, done: None)


def test_what_a_run_that_is_given_up_has_logged_and_counted_is_there_once(
    operations, score, cluster, tmp_path
):
    source, target = write(tmp_path / "rows.csv", 900, {4: "x,1"}), tmp_path / "scored.csv"
    begun_at, refusals = now(), RejectionStore(operations.services.db)
    interrupted(operations, cluster, source, target)
    assert refusals.counts("small", begun_at, now()) == {"type a": 1}

    summary = score(source, target, is_logged=True, is_restart=True)

    assert (summary.resumed_parts, summary.logged) == (0, 899)
    assert operations.services.db.predictions.count_documents({}) == 899
    assert refusals.counts("small", begun_at, now()) == {"type a": 1}


def test_a_run_that_is_interrupted_leaves_no_half_output(operations, cluster, tmp_path):
    source = write(tmp_path / "rows.csv", 900)

    for ending in ("csv", "csv.gz", "parquet"):
        interrupted(operations, cluster, source, tmp_path / f"scored.{ending}")
        assert not list(tmp_path.glob("scored*.partial"))


def test_a_run_of_other_input_is_not_mixed_with_an_interrupted_one(score, tmp_path):
    source, target = write(tmp_path / "rows.csv", 300), tmp_path / "scored.csv"
    (tmp_path / "scored.csv.parts").mkdir()
    with pytest.raises(UnavailableError):
        score_with_dead_cluster(score, source, target)
    write(source, 200)

    with pytest.raises(ConflictError, match="--restart"):
        score(source, target)

    assert score(source, target, is_restart=True).rows == 200


def score_with_dead_cluster(score, source, target):
    """Begin a run and have no workers."""
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlops.batch.cluster.CONNECT_S", 1)
        patch.setattr("mlops.batch.running.client", lambda _, n: dead(address))
        score(source, target)


def dead(address):
    """Connect to nobody."""
    from mlops.batch.cluster import client

    return client(address, 1)


def test_a_killed_command_goes_on_where_it_was(settings, cluster, tmp_path):
    source, target = write(tmp_path / "rows.csv", 6_000), tmp_path / "scored.csv"
    command = [
        "mlops",
        "batch",
        "small",
        str(source),
        str(target),
        "--log",
        "--workers",
        "1",
        "--part-bytes",
        "4000",
        "--json",
    ]
    env = environment(**settings)
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    parts = tmp_path / "scored.csv.parts"
    wait_until(lambda: parts.is_dir() and len(list(parts.glob("*/[0-9]*.json"))) > 2, 180)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    # On workers that run already: another way to work does not make it another run.
    done = run(*command, **settings, DASK_SCHEDULER_ADDRESS=cluster)

    summary = json.loads(done.stdout)
    assert done.returncode == 0 and summary["resumed_parts"] > 2 and summary["rows"] == 6_000
    found = rows_of(target)
    assert [int(row["row"]) for row in found] == list(range(1, 6_001))
    assert len({row["prediction_id"] for row in found}) == 6_000
    db = connection.connect(settings["MONGO_URI"], settings["MONGO_DB"])
    assert db.predictions.count_documents({"request_id": {"$regex": "^batch-"}, "row": {"$gt": 900}}) == 5_100
    connection.close(db)
    assert not parts.exists()
