"""How long pages take with ten million predictions counted and 200 features.

    python -m bench.pages                  # about three minutes, most of it to make the past
    python -m bench.pages --days 30

Hourly counts of the whole log are made, as pages read those; of the rows themselves only the newest are
there, as pages look nothing else up. Times are those of a client, after one look that fills caches.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlops.counting import hour_of
from mlops.days import Days
from mlops.record import LoggedRequest, documents
from model import spec as specs
from model import training
from model.frame import read_table
from model.monitoring import ModelReference
from model.versions import Versions
from tests.running import Service
from utils import embedded_mongo
from utils.mongo import connection, indexes
from utils.mongo.counts import Cell, CountStore
from utils.mongo.day_counts import DayStore
from utils.mongo.history import HistoryStore
from utils.mongo.predictions import PredictionStore
from utils.mongo.versions import VersionStore
from utils.time import now, prediction_ids

NAME = "feature_{:03}"
MODEL, KEY = "wide", "the key of this benchmark"
N_FEATURES, N_TRAINING = 200, 4_000
N_ROWS, N_NEWEST, N_KINDS, N_LOOKS = 10_000_000, 20_000, 24, 7
HOUR = timedelta(hours=1)
WARNING = {"feature": NAME.format(0), "code": "range", "detail": "far"}
NAMES = [NAME.format(number) for number in range(N_FEATURES)]
SPEC = """
name: {model}
task: classification
target: {{name: y, classes: {{0: a, 1: b}}}}
data: {{train: {model}.csv}}
pipeline: tests.small_pipelines:logistic
features:
{features}metrics: [roc_auc]
"""
PAGES = {
    "overview": ("/dashboard", 300),
    "one model": (f"/dashboard/{MODEL}", 300),
    "drift, 24 h": (f"/dashboard/{MODEL}/drift?window=24h", 1_000),
    "drift, 7 days": (f"/dashboard/{MODEL}/drift?window=7d", 1_000),
    "drift, 30 days": (f"/dashboard/{MODEL}/drift?window=30d", 1_000),
    "drift, 90 days": (f"/dashboard/{MODEL}/drift?window=90d", 1_000),
    "search": (f"/dashboard/{MODEL}/predictions?warnings=1&window=90d", 1_000),
}


def main() -> None:
    """Make the past, run the service on it, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=90)
    days = parser.parse_args().days
    with tempfile.TemporaryDirectory() as name, embedded_mongo.start(Path(name) / "mongo") as mongo:
        folder = Path(name)
        db = connection.connect(mongo.uri, "bench_pages")
        indexes.ensure(db, None)
        _past(db, _trained(db, folder), days)
        connection.close(db)
        given = {"MONGO_URI": mongo.uri, "MONGO_DB": "bench_pages", "MODELS_DIR": folder, "SIGNING_KEY": KEY}
        with Service(
            folder / "state", DEFAULT_MODEL=MODEL, TRACKERS="", WEB_CONCURRENCY=1, **given
        ) as service:
            _measure(service.wait_until_ready(), days)


def _trained(db: connection.Database, folder: Path) -> ModelReference:
    rng = np.random.default_rng(1)
    table = rng.normal(size=(N_TRAINING, N_FEATURES))
    y = (table[:, 0] + rng.normal(size=N_TRAINING) > 0).astype(int)
    rows = (",".join([*(f"{v:.4f}" for v in row), str(one)]) for row, one in zip(table, y, strict=True))
    lines = [",".join([*NAMES, "y"]), *rows]
    (folder / f"{MODEL}.csv").write_text("\n".join(lines))
    features = "".join(f"  {name}: {{type: number}}\n" for name in NAMES)
    text = SPEC.format(model=MODEL, features=features)
    path = folder / f"{MODEL}.yaml"
    path.write_text(text)
    spec, _ = specs.find(MODEL, [folder])
    trained = training.train(spec, read_table(folder / f"{MODEL}.csv", spec))
    manifest = Versions(VersionStore(db), KEY.encode()).add(trained, source="bench", source_digest="")
    HistoryStore(db).append(MODEL, manifest.version, "promote", "bench", "bench")
    return trained.reference


def _past(db: connection.Database, reference: ModelReference, days: int) -> None:
    """Store counts of every hour, and the newest rows with a warning among each hundred."""
    rng, end = np.random.default_rng(2), hour_of(now())
    n_hours = days * 24
    n_each = N_ROWS // n_hours
    kinds = [_counts(reference, rng, n_each) for _ in range(N_KINDS)]
    store = CountStore(db)
    for back in range(n_hours):
        cell = Cell(MODEL, "1", end - (back + 1) * HOUR)
        counted = partial(_known, n_each, kinds[back % N_KINDS])
        store.commit(f"bench-{back}", -1, n_each, [cell], counted, lambda cell, one, other: one)
    totals = Days(store, DayStore(db))
    while totals.add_up(MODEL, "1", reference, end):  # as the clock does, ten days at a time
        pass
    _newest(PredictionStore(db), rng, end)


def _known(n_rows: int, parts: dict[str, bytes], cell: Cell, seq: int) -> tuple[int, dict[str, bytes]]:
    return n_rows, parts


def _counts(reference: ModelReference, rng: np.random.Generator, n: int) -> dict[str, bytes]:
    columns: dict[str, Any] = {name: rng.normal(size=n) for name in NAMES}
    columns |= {"@prediction": rng.integers(0, 2, n).tolist(), "@probability": rng.uniform(size=n).tolist()}
    return reference.count(columns).to_parts()


def _newest(store: PredictionStore, rng: np.random.Generator, end: datetime) -> None:
    for start in range(0, N_NEWEST, 1_000):
        values = rng.normal(size=(1_000, N_FEATURES)).round(3).tolist()
        at = end - timedelta(minutes=(N_NEWEST - start) / 100)
        odd: list[Sequence[Any]] = [[WARNING] if not i % 100 else [] for i in range(1_000)]
        ids, answers, chances = prediction_ids(1_000), [1] * 1_000, [0.5] * 1_000
        told = (MODEL, "1", at, "compiled", 1.0, NAMES, values, ids, answers, chances, odd)
        record = LoggedRequest("bench", *told)
        store.add_many(documents(record, "bench", start))


def _measure(service: Service, days: int) -> None:
    print(f"{N_ROWS:,} predictions counted over {days} days, {N_FEATURES} features, one web process")
    print(f"{'page':16} {'first':>9} {'median':>9} {'wanted':>9} {'size':>9}")
    for name, (path, wanted) in PAGES.items():
        taken = [_look(service, path) for _ in range(N_LOOKS)]
        median = statistics.median(ms for ms, _ in taken[1:])
        bound = f"{wanted} ms" if wanted else "-"
        print(f"{name:16} {taken[0][0]:6.0f} ms {median:6.0f} ms {bound:>9} {taken[0][1] / 1_000:6.0f} kB")


def _look(service: Service, path: str) -> tuple[float, int]:
    start = time.perf_counter()
    status, text = service.get(path)
    taken_ms = (time.perf_counter() - start) * 1_000
    assert status == 200, text[:300]
    return taken_ms, len(text)


if __name__ == "__main__":
    main()
