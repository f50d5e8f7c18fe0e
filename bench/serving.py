"""The service beside the bare Flask ceiling and the usual way, in one run; needs ``wrk`` (Debian has it).

    python -m bench.serving            # all tables of docs/performance.md, about ten minutes
    python -m bench.serving --rounds 1 # a quick look

All servers stand at once on the same processors, with MongoDB and the load, and take turns; a figure is the
median of its rounds, a ratio the median of the ratios of neighbouring slices. Every row that ours answers is
stored, and a slice of ours lasts until it is: a growing spool is no speed.
"""

import argparse
import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.servers import load, models
from bench.servers.processes import Server
from bench.servers.setting import MODELS, Setting, prepared

PATHS = {"vigia": "/models/{model}/predict", "ceiling": "/predict", "usual": "/predict"}
CELLS = [(1, 1), (1, 16), (1, 64), (100, 1), (100, 16), (100, 64), (10_000, 1)]
CELLS_OF_SECOND_MODEL = [(1, 16), (100, 16), (10_000, 1)]
SLICE_S = 2.0


@dataclass(frozen=True)
class Slice:
    """One server under one load.

    Attributes
    ----------
    rate : float
        Requests a second, from the first until all rows of all answers are stored where that is promised.
    cpu_ms : float
        Of the server a request, mongod not counted.
    mongod_ms : float
        Of mongod a request.
    p50_ms, p99_ms : float
        Time to the answer.
    """

    rate: float
    cpu_ms: float
    mongod_ms: float
    p50_ms: float
    p99_ms: float


def measure(setting: Setting, server: Server, model: str, n_rows: int, n_connections: int) -> Slice:
    """Load ``server`` for one slice of time."""
    url = server.url + PATHS[server.name].format(model=model)
    n_before, cpu_s, mongod_s, begun = (
        setting.n_stored(),
        server.cpu_s(),
        setting.mongod_cpu_s(),
        time.monotonic(),
    )
    found = load.run(url, models.body(n_rows), n_connections, SLICE_S)
    if found.n_refused or found.n_broken:
        raise RuntimeError(f"{server.name}: {found.n_refused} refused, {found.n_broken} broken of {found}")
    seconds = found.seconds
    if server.name == "vigia":
        if not setting.wait_until_stored(n_before + found.n_answers * n_rows):
            raise RuntimeError("not everything that was answered is stored")
        seconds = max(seconds, time.monotonic() - begun)
    n = found.n_answers
    cpu_ms, mongod_ms = (server.cpu_s() - cpu_s) / n * 1e3, (setting.mongod_cpu_s() - mongod_s) / n * 1e3
    return Slice(n / seconds, cpu_ms, mongod_ms, found.p50_ms, found.p99_ms)


def ratios(slices: list[Slice], ceilings: list[Slice], figure: Callable[[Slice], float]) -> float:
    """Return the median of the ratios of neighbouring slices."""
    pairs = zip(slices, ceilings, strict=True)
    return statistics.median(figure(own) / figure(ceiling) for own, ceiling in pairs)


def compare(
    setting: Setting, servers: list[Server], model: str, cells: list[tuple[int, int]], n_rounds: int
) -> None:
    """Print a table with a line for each load and server."""
    print(f"\n### {model}\n")
    print("| rows | connections | server | requests/s | of the ceiling | CPU ms each | times the ceiling "
          "| p50 ms | p99 ms | times the ceiling |")  # fmt: skip
    print("|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|")
    for n_rows, n_connections in cells:
        found: dict[str, list[Slice]] = {server.name: [] for server in servers}
        for _ in range(n_rounds):
            for server in servers:
                found[server.name].append(measure(setting, server, model, n_rows, n_connections))
        for name, slices in found.items():
            print(f"| {n_rows:,} | {n_connections} | {_line(name, slices, found['ceiling'])} |", flush=True)


def _line(name: str, slices: list[Slice], ceilings: list[Slice]) -> str:
    def median(figure: Callable[[Slice], float]) -> float:
        return statistics.median(map(figure, slices))

    cells = [
        name,
        f"{median(lambda s: s.rate):,.0f}",
        f"{ratios(slices, ceilings, lambda s: s.rate):.2f}",
        f"{median(lambda s: s.cpu_ms):.3f}",
        f"{ratios(slices, ceilings, lambda s: s.cpu_ms):.2f}",
        f"{median(lambda s: s.p50_ms):.1f}",
        f"{median(lambda s: s.p99_ms):.1f}",
        f"{ratios(slices, ceilings, lambda s: s.p99_ms):.2f}",
    ]
    return " | ".join(cells)


def large_request(setting: Setting, server: Server, n_rounds: int, n_rows: int = 10_000) -> None:
    """Print how long one large request takes, beside the pipeline on a frame that is ready."""
    import joblib  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits

    pipeline = joblib.load(setting.folder / "models" / "boosting.joblib")
    frame, body = models.table(n_rows, seed=1).drop(columns=models.TARGET), models.body(n_rows)
    ours, bare = [], []
    for _ in range(max(3, n_rounds * 2)):
        n_before = setting.n_stored()
        ours.append(_seconds(lambda: _post(f"{server.url}/models/boosting/predict", body)))
        setting.wait_until_stored(n_before + n_rows)
        with threadpool_limits(limits=1):
            bare.append(_seconds(lambda: pipeline.predict_proba(frame)))
    ratio = statistics.median(own / other for own, other in zip(ours, bare, strict=True))
    print(f"\n{n_rows:,} rows in one request, boosting: {statistics.median(ours) * 1e3:.0f} ms; "
          f"predict_proba on a ready frame, one thread: {statistics.median(bare) * 1e3:.0f} ms; "
          f"ratio {ratio:.2f}")  # fmt: skip


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        json.load(answer)


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    n_rounds: int = parser.parse_args().rounds
    if not load.is_there():
        print("wrk was not found (Debian: apt install wrk); the service is not measured")
        return
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder, prepared(Path(folder)) as setting:
        for model, cells in zip(MODELS, (CELLS, CELLS_OF_SECOND_MODEL), strict=True):
            with setting.ours() as ours, setting.ceiling() as ceiling, setting.usual(model) as usual:
                print(
                    f"\nready after {ours.start_s:.2f} s; two workers {ours.memory_mb():.0f} MB at the start"
                )
                compare(setting, [ceiling, ours, usual], model, cells, n_rounds)
                print(f"\ntwo workers {ours.memory_mb():.0f} MB after it")
                if model == "boosting":
                    large_request(setting, ours, n_rounds)


if __name__ == "__main__":
    main()
