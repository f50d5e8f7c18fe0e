"""A counting job that is killed anywhere, or not alone, counts each row exactly once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from mlops.counting import hour_of
from model.monitoring import PREDICTION, PROBABILITY
from model.monitoring.outputs import coarse
from tests.faults.counting_killer import REFERENCE, counter_of
from tests.running import ROOT
from utils.mongo import connection, indexes
from utils.mongo.counts import CountStore
from utils.mongo.predictions import PredictionStore

START = datetime(2026, 3, 1, tzinfo=UTC)
GENRES = ["pop", "rock", "jazz", None, 7]


def row(spool, seq):
    """Return a logged row; hours of a spool come out of order, and some rows are odd."""
    at = START + timedelta(minutes=(seq * 37) % 300)
    features = {"tempo": 90.0 + seq % 50 if seq % 11 else None, "genre": GENRES[seq % 5]}
    head = {"_id": f"{spool}{seq}", "spool": spool, "seq": seq, "model": "songs", "version": "1", "at": at}
    return head | {"features": features, "prediction": seq % 2, "probability": (seq % 90) / 90}


@pytest.fixture
def logged(db):
    indexes.ensure(db, None)
    rows = [row(spool, seq) for spool in ("a", "b") for seq in range(4_000)]
    for start in range(0, len(rows), 1_000):
        PredictionStore(db).add_many(rows[start : start + 1_000])
    return rows


def recounted(rows):
    """Count rows by hour without any of the machinery under test."""
    hours = {}
    for one in rows:
        hours.setdefault(hour_of(one["at"]), []).append(one)
    return {hour: REFERENCE.count(columns(found)) for hour, found in hours.items()}


def columns(rows):
    found = {name: [one["features"].get(name) for one in rows] for name in ("tempo", "genre")}
    found[PREDICTION] = [one["prediction"] for one in rows]
    return found | {PROBABILITY: coarse(one["probability"] for one in rows)}


def stored(db):
    found = CountStore(db).hours("songs", "1", START, START + timedelta(days=1))
    return {hour: REFERENCE.counts_from(parts) for hour, parts in found.items()}


def test_counts_after_a_hundred_kills_are_those_of_a_recount(db, mongo_uri, logged):
    command = [sys.executable, "-m", "tests.faults.counting_killer", mongo_uri, db.name, "100"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    n_before = sum(counts.n_rows for counts in stored(db).values())
    counter_of(db, 1_000).count_new()

    assert int(done.stdout) > 50
    assert 0 < n_before < len(logged)
    assert stored(db) == recounted(logged)


def test_counters_at_once_count_each_row_once(db, mongo_uri, logged):
    def count(_):
        own = connection.connect(mongo_uri, db.name)
        n_rows = counter_of(own, 200).count_new()
        connection.close(own)
        return n_rows

    with ThreadPoolExecutor(3) as threads:
        n_counted = list(threads.map(count, range(3)))

    assert sum(n_counted) == len(logged)
    assert stored(db) == recounted(logged)


def test_late_rows_go_to_the_hour_in_which_they_were_answered(db, logged):
    counter_of(db, 1_000).count_new()
    late = [row("c", seq) for seq in range(40)]
    PredictionStore(db).add_many(late)

    assert counter_of(db).count_new() == 40
    assert counter_of(db).count_new() == 0
    assert stored(db) == recounted([*logged, *late])
