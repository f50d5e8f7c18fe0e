"""What drift monitoring costs: counting rows, from memory and from MongoDB, and one check of counted hours.

    python -m bench.counting                       # everything, about a minute
    python -m bench.counting --rows 1000000 log    # some of it, larger

CPU is that of this process; on a busy machine compare CPU, not wall time.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import bson
import numpy as np
from scipy import stats

from mlops.counting import Counter
from mlops.record import LoggedRequest, documents
from model.monitoring import PREDICTION, PROBABILITY, ModelReference, Policy, Timeline, decide
from model.monitoring.stacked import Stacked
from utils import embedded_mongo
from utils.mongo import connection, indexes
from utils.mongo.counts import Cell, CountStore
from utils.mongo.predictions import PredictionStore
from utils.time import prediction_ids

N_FEATURES = 15
NAMES = tuple(f"feature_{number}" for number in range(N_FEATURES))
TEXTS = ("petrol", "diesel", "electric", "gas")
START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = 168


def main() -> None:
    """Run the parts that are named on the command line, or all."""
    parts: dict[str, Callable[[argparse.Namespace], None]] = {"memory": memory, "log": log, "check": check}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *parts], default=[])
    parser.add_argument("--rows", type=int, default=200_000)
    args = parser.parse_args()
    for name in args.parts or parts:
        print(f"\n{name}: {(parts[name].__doc__ or '').strip()}")
        parts[name](args)


def cost(action: Callable[[], object], times: int = 1) -> tuple[float, float]:
    """Return the least CPU and wall time of one call, in seconds."""
    found = []
    for _ in range(times):
        cpu, wall = time.process_time(), time.perf_counter()
        action()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(one[0] for one in found), min(one[1] for one in found)


def learnt(n_rows: int = 50_000, n_texts: int = 0) -> ModelReference:
    """Return a reference of 15 features, of which the last ``n_texts`` are categories."""
    rng = np.random.default_rng(1)
    columns = {name: rng.normal(size=n_rows).round(3) for name in NAMES[: N_FEATURES - n_texts]}
    columns |= {name: rng.choice(TEXTS, n_rows) for name in NAMES[N_FEATURES - n_texts :]}
    kinds = {name: "category" if name in NAMES[N_FEATURES - n_texts :] else "number" for name in NAMES}
    answers = {PREDICTION: rng.integers(0, 2, n_rows).tolist(), PROBABILITY: rng.random(n_rows).round(2)}
    return ModelReference.fit(columns | answers, {**kinds, PREDICTION: "category", PROBABILITY: "number"})


def memory(args: argparse.Namespace) -> None:
    """One million rows in memory, 15 numbers: counted, and the same by scipy.stats.ks_2samp."""
    rng, reference = np.random.default_rng(2), learnt()
    rows = {name: rng.normal(size=1_000_000).round(3) for name in NAMES}
    features = ModelReference({name: reference.features[name] for name in NAMES})
    plain, _ = cost(lambda: features.count(rows), 3)
    paired, _ = cost(lambda: ModelReference(features.features, reference.pairs).count(rows), 3)
    before = {name: np.random.default_rng(1).normal(size=50_000).round(3) for name in NAMES}
    theirs, _ = cost(lambda: [stats.ks_2samp(before[n], rows[n], method="asymp") for n in NAMES])
    print(f"  counted: {plain:.3f} s CPU ({1e6 / plain:,.0f} rows/s), with 105 pairs {paired:.3f} s")
    print(f"  scipy:   {theirs:.3f} s CPU")


def log(args: argparse.Namespace) -> None:
    """Rows of the log counted from MongoDB into hours there; 15 features, 10,000 rows an hour."""
    for n_texts in (0, 3):
        with log_of(args.rows, n_texts) as stores:
            cpu, wall = cost(partial(count, stores, learnt(n_texts=n_texts)))
            print(f"  {args.rows:,} rows, {n_texts} of 15 are texts:", end=" ")
            print(f"{args.rows / cpu:,.0f} rows/s of CPU, {args.rows / wall:,.0f} rows/s of wall time")


def count(stores: tuple[PredictionStore, CountStore], reference: ModelReference) -> None:
    """Count all rows."""
    Counter(*stores, lambda model, version: reference).count_new()


@contextmanager
def log_of(n_rows: int, n_texts: int) -> Iterator[tuple[PredictionStore, CountStore]]:
    """Fill the log of a private MongoDB as the shipper does."""
    folder = Path(tempfile.mkdtemp(prefix="bench-counting-", dir="."))
    try:
        with embedded_mongo.start(folder) as mongo:
            db = connection.connect(mongo.uri, "bench")
            indexes.ensure(db, None)
            predictions = PredictionStore(db)
            for start in range(0, n_rows, 1_000):
                predictions.add_many(logged(start, n_texts))
            yield predictions, CountStore(db)
            connection.close(db)
    finally:
        shutil.rmtree(folder)


def logged(start: int, n_texts: int, n: int = 1_000) -> list[bytes]:
    """Return ``n`` logged rows as the spool's shipper sends them."""
    rng = np.random.default_rng(start)
    numbers = rng.normal(size=(n, N_FEATURES - n_texts)).round(3).tolist()
    texts = rng.choice(TEXTS, (n, n_texts)).tolist()
    record = LoggedRequest(
        "0" * 32,
        "songs",
        "1",
        START + timedelta(hours=start / 10_000),
        "compiled",
        1.5,
        NAMES,
        [[*left, *right] for left, right in zip(numbers, texts, strict=True)],
        prediction_ids(n),
        rng.integers(0, 2, n).tolist(),
        rng.random(n).round(4).tolist(),
    )
    return [bson.encode(document) for document in documents(record, "spool", start)]


def check(args: argparse.Namespace) -> None:
    """One check of a week of counted hours, of ten thousand and ten million rows."""
    reference = learnt()
    with log_of(0, 0) as (_, counts):
        for n_rows in (10_000, 10_000_000):
            fill(counts, reference, n_rows)
            read, _ = cost(partial(week, counts, reference, n_rows), 5)
            decided, _ = cost(partial(decide, reference, week(counts, reference, n_rows), Policy()), 5)
            print(f"  {n_rows:>10,} rows: read {1e3 * read:.0f} ms of CPU, decided {1e3 * decided:.0f} ms")


def fill(counts: CountStore, reference: ModelReference, n_rows: int) -> None:
    """Store the counts of a week, every hour like training."""
    n_hour = n_rows // WEEK
    rng = np.random.default_rng(3)
    rows: dict[str, object] = {name: rng.normal(size=n_hour).round(3) for name in NAMES}
    rows |= {PREDICTION: rng.integers(0, 2, n_hour).tolist(), PROBABILITY: rng.random(n_hour).round(2)}
    parts = reference.count(rows).to_parts()
    for hour in range(WEEK):
        cell = Cell("songs", str(n_rows), START + timedelta(hours=hour))
        counts.commit(f"{n_rows}/{hour}", -1, n_hour, [cell], lambda *_: (n_hour, parts), lambda *_: parts)


def week(counts: CountStore, reference: ModelReference, n_rows: int) -> Timeline:
    """Return the stored week as a check reads it."""
    stored = counts.hours("songs", str(n_rows), START, START + timedelta(hours=WEEK))
    matrices = reference.matrices_from([stored[hour] for hour in sorted(stored)])
    return Timeline(Stacked(len(stored), matrices, reference.layouts))


if __name__ == "__main__":
    main()
