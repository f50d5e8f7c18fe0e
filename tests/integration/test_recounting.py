"""Counts made again from raw rows equal those that were kept, from MongoDB and from Parquet, in any parts."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mlops.counting import Counter
from mlops.recounting import FilePart, LogPart, compared, count_file, count_log, digest_of, fill, sum_of
from model.monitoring import PREDICTION, PROBABILITY, ModelReference
from utils.mongo import indexes
from utils.mongo.counts import CountStore
from utils.mongo.predictions import PredictionStore

START = datetime(2026, 3, 2, tzinfo=UTC)
KINDS = {"tempo": "number", "genre": "category", PREDICTION: "category", PROBABILITY: "number"}
N_ROWS = 2_500


def rows(n, seed):
    rng = np.random.default_rng(seed)
    return {
        "tempo": rng.normal(120, 20, n).round(1).tolist(),
        "genre": [None if i % 9 == 0 else str(one) for i, one in enumerate(rng.choice(["pop", "rock"], n))],
        PREDICTION: rng.integers(0, 2, n).tolist(),
        PROBABILITY: rng.random(n).round(2).tolist(),
    }


REFERENCE = ModelReference.fit(rows(3_000, 0), KINDS, segments=["genre"])
CONTENT = {"1": REFERENCE.to_bytes()}


def at(place):
    return START + timedelta(seconds=30 * place)


@pytest.fixture
def logged(db, mongo_uri):
    """A log that is counted, of two spools, and its parts for a recount."""
    indexes.ensure(db, None)
    found = rows(N_ROWS, 1)
    documents = [
        {
            "_id": f"{i * 7919 % N_ROWS:08}",
            "spool": f"s{i % 2}",
            "seq": i,
            "model": "songs",
            "version": "1",
            "at": at(i),
        }
        | {"features": {name: found[name][i] for name in ("tempo", "genre")}}
        | {"prediction": found[PREDICTION][i], "probability": found[PROBABILITY][i]}
        for i in range(N_ROWS)
    ]
    predictions, counts = PredictionStore(db), CountStore(db)
    predictions.add_many(documents)
    Counter(predictions, counts, lambda model, version: REFERENCE, batch=700).count_new()
    predictions.add_many([documents[0] | {"_id": "later", "seq": 9_000}])
    ranges = predictions.id_ranges(5)
    parts = [LogPart(mongo_uri, db.name, "songs", ids, counts.watermarks(), CONTENT) for ids in ranges]
    return counts, parts


def test_the_log_counted_again_in_parts_equals_what_was_counted(logged):
    counts, parts = logged

    found = compared(counts, "songs", sum_of(map(count_log, parts), CONTENT), {"1": REFERENCE})

    assert len(parts) == 5
    assert (found.n_rows, found.n_hours, found.differing) == (N_ROWS, 21, [])


def test_an_hour_that_was_counted_wrongly_is_named(logged, db):
    counts, parts = logged
    db["drift_counts"].delete_one({"hour": START + timedelta(hours=3)})

    found = compared(counts, "songs", sum_of(map(count_log, parts), CONTENT), {"1": REFERENCE})

    assert found.differing == ["songs/1/2026-03-02T03:00:00+00:00"]


def test_a_parquet_file_fills_the_same_hours_once(logged, db, tmp_path):
    counts, _ = logged
    found = rows(N_ROWS, 1)
    table = {name.removeprefix("@"): column for name, column in found.items()}
    path = tmp_path / "log.parquet"
    parquet.write_table(pa.table(table | {"at": [at(i) for i in range(N_ROWS)]}), path, row_group_size=600)
    outputs = {name: name for name in ("prediction", "probability")}
    parts = [FilePart(path, group, "at", "songs", "2", CONTENT["1"], outputs) for group in range(5)]

    counted = sum_of(map(count_file, parts), {"2": CONTENT["1"]})
    added = [fill(counts, "songs", counted, digest_of(path), {"2": REFERENCE}) for _ in range(2)]

    assert added == [N_ROWS, 0]
    after = compared(counts, "songs", {}, {"2": REFERENCE})
    assert (after.n_filled, after.differing) == (21, [])
    both = [counts.all_hours("songs", version) for version in ("1", "2")]
    assert both[0] == both[1]
