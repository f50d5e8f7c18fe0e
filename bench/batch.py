"""Scoring of files beside the compiled predictor alone, on two processes each: rows a second, and memory.

    python -m bench.batch                   10 million rows of the songs model, CSV and Parquet
    python -m bench.batch --rows 1000000    fewer; the start of the workers then counts for more

"alone" is the predictor of the same version in two processes, both at once, on rows that stand in memory as
the array that it takes: no reading, no checks, no answers to write. It runs before and after each file, and
the mean counts. The run's seconds are those from nothing to the complete output: start and end of the workers
included, as well as the part of this process. The last column compares processor seconds a row, which others
at work on the machine change less. Memory is what the run and its workers have together at most (PSS: shared
pages once).
"""

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Workers import this module, as Python has it for what was started by ``-m``; those of the command do not
# import theirs. So what is heavy is imported where it is used.
if TYPE_CHECKING:
    import pandas as pd

    from model.artifact import Manifest

MODEL = "songs"
N_PROCESSES = 2
AT_ONCE = 500_000
N_ALONE = 2_000_000
KEY = b"the key of benchmarks"


def version() -> "tuple[Manifest, dict[str, bytes], pd.DataFrame]":
    """Train the model; returns its manifest, its parts and rows that it can score, as its file has them."""
    import pandas as pd

    from model import frame, packing, training
    from model import spec as specs
    from model.bundled import bundled_rows

    spec, path = specs.find(MODEL, (specs.BUNDLED,))
    source = bundled_rows(spec, path)
    trained = training.train(spec, frame.read_table(source, spec))
    manifest, parts = packing.pack(trained, "1", KEY)
    table = pd.read_csv(source, usecols=lambda name: name in spec.features)
    return manifest, parts, table.dropna()


def write(table: "pd.DataFrame", path: Path, n_rows: int) -> None:
    """Write so many rows, drawn with repetition."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv, parquet

    rng = np.random.default_rng(0)
    schema = pa.Table.from_pandas(table, preserve_index=False).schema
    is_csv = path.suffix == ".csv"
    writer = csv.CSVWriter(path, schema) if is_csv else parquet.ParquetWriter(path, schema)
    with writer:
        for start in range(0, n_rows, AT_ONCE):
            drawn = table.iloc[rng.integers(0, len(table), min(AT_ONCE, n_rows - start))]
            writer.write_table(pa.Table.from_pandas(drawn, schema, preserve_index=False))


def alone(graph: bytes, numbers: Any, barrier: Any, seconds: Any) -> None:
    """Score these rows by the predictor, beginning with all others."""
    from model.predictor import CompiledPredictor

    predictor = CompiledPredictor(graph)
    predictor.scores(numbers[:10_000], None)
    barrier.wait()
    start, start_cpu = time.perf_counter(), time.process_time()
    predictor.scores(numbers, None)
    seconds.put((time.perf_counter() - start, time.process_time() - start_cpu))


def rates_alone(graph: bytes, table: "pd.DataFrame", n_rows: int) -> tuple[float, float]:
    """Return the rows a second, and a processor second, of predictors in two processes at once."""
    import numpy as np

    context = multiprocessing.get_context("spawn")
    barrier, seconds = context.Barrier(N_PROCESSES), context.Queue()
    drawn = np.random.default_rng(0).integers(0, len(table), n_rows // N_PROCESSES)
    numbers = table.to_numpy(dtype=np.float64)[drawn]
    processes = [
        context.Process(target=alone, args=(graph, numbers, barrier, seconds)) for _ in range(N_PROCESSES)
    ]
    for process in processes:
        process.start()
    taken = [seconds.get() for _ in processes]
    for process in processes:
        process.join()  # or its processor time would be counted with what comes next
    n_scored = N_PROCESSES * len(numbers)
    return n_scored / max(wall for wall, _ in taken), n_scored / sum(cpu for _, cpu in taken)


def cpu_s() -> float:
    """Return the processor time of this process and of those below it that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def tree_bytes() -> int:
    """Return the proportional memory of this process and all below it."""
    parents, found = _parents(), 0
    own = next(pid for pid in parents if Path(f"/proc/{pid}") == Path("/proc/self").resolve())
    for pid in parents:
        above = pid
        while above not in (own, 0, 1):
            above = parents.get(above, 0)
        found += _pss(pid) if above == own else 0
    return found


def _parents() -> dict[int, int]:
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # ended meanwhile
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


@contextmanager
def peak() -> Iterator[list[int]]:
    """Watch memory; the list has the largest value afterwards."""
    found, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.5):
            found[0] = max(found[0], tree_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    yield found
    stop.set()
    thread.join()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    n_rows = parser.parse_args().rows
    manifest, parts, table = version()
    folder = Path(tempfile.mkdtemp(prefix="bench-batch-"))
    print(f"{n_rows:,} rows, {N_PROCESSES} processes\n")
    print("| | rows a second | of the predictor alone | memory | of its processor time |")
    print("|---|---|---|---|---|", flush=True)
    try:
        for ending in ("csv", "parquet"):
            source = folder / f"rows.{ending}"
            write(table, source, n_rows)
            print_line(source, manifest, parts, table, n_rows)
            source.unlink()
    finally:
        shutil.rmtree(folder)


def print_line(
    source: Path, manifest: "Manifest", parts: dict[str, bytes], table: "pd.DataFrame", n_rows: int
) -> None:
    """Score a file, with the predictor alone before and after it, and print what that took."""
    from mlops.batch.running import Request, Run
    from model.artifact import GRAPH

    n_alone = min(n_rows, N_ALONE)
    before = rates_alone(parts[GRAPH], table, n_alone)
    request = Request(str(source), str(source.with_stem("scored")), n_workers=N_PROCESSES)
    with peak() as memory:
        start = cpu_s()
        summary = Run(request, manifest, parts.__getitem__).run(lambda part, done: None)
        used = cpu_s() - start
    after = rates_alone(parts[GRAPH], table, n_alone)
    wall, cpu = (sum(pair) / 2 for pair in zip(before, after, strict=True))
    rate = summary.rows / summary.seconds
    print(f"| predictor alone | {wall:,.0f} | | | |")
    share, cpu_share = rate / wall, summary.rows / used / cpu
    ending, mebibytes = source.suffix[1:], memory[0] / 2**20
    cells = f"{rate:,.0f} | {share:.0%} | {mebibytes:,.0f} MiB | {cpu_share:.0%}"
    print(f"| {ending} to {ending} | {cells} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
