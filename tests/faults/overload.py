"""How fast excess is refused and health answered while every thread that predicts is busy.

    python -m tests.faults.overload

A service of one process with ``MAX_PENDING=4``; four rows keep its model waiting. Then one client asks for
predictions, which are refused, and for health, a thousand times each. Prints one JSON object, times in ms.
"""

import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from tests.e2e.small_model import SPEC, small_model
from tests.faults.members import ReplicaSet, replica_set
from tests.running import Service, wait_until
from tests.small_pipelines import HUGE

N_PENDING = 4  # as many as threads that predict
N_ASKED = 1_000
ROW = {"a": 0.5, "b": -0.2}
SLOW = {"a": HUGE, "b": 0.0}


@dataclass(frozen=True)
class Gated:
    """One process whose model waits, where rows are huge, until ``open`` is in the folder ``gate``."""

    service: Service
    mongo: ReplicaSet
    gate: Path
    settings: dict[str, object]

    @property
    def n_waiting(self) -> int:
        """How many predictions wait or have waited."""
        return len(list(self.gate.glob("waits-*")))

    def open(self) -> None:
        """Let them go on."""
        (self.gate / "open").touch()


@contextmanager
def gated_service(folder: Path, **settings: object) -> Iterator[Gated]:
    """Run the service with a model that waits, on a MongoDB of its own."""
    gate = folder / "gate"
    gate.mkdir()
    spec = SPEC.replace("small_pipelines:logistic", "small_pipelines:gated")
    limits = {"WEB_CONCURRENCY": 1, "MAX_PENDING": N_PENDING, "GATE": gate, **settings}
    with (
        replica_set(folder / "mongo", 1) as mongo,
        small_model(mongo.uri, folder, spec) as small,
        Service(folder / "service", **small, **limits) as service,
    ):
        yield Gated(service.wait_until_ready(), mongo, gate, small)


def latencies_ms(service: Service, method: str, path: str, body: str | None, status: int) -> dict[str, float]:
    """Ask again and again over one connection; return how long the answers took."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    found = []
    for _ in range(N_ASKED):
        begun = time.perf_counter()
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        found.append(1_000 * (time.perf_counter() - begun))
        assert answer.status == status
    connection.close()
    found.sort()
    return {"median": found[N_ASKED // 2], "p99": found[N_ASKED * 99 // 100], "max": found[-1]}


@click.command()
def main() -> None:
    """Measure refusals and health while nothing can be predicted."""
    with (
        tempfile.TemporaryDirectory() as name,
        gated_service(Path(name)) as gated,
        ThreadPoolExecutor(N_PENDING) as threads,
    ):
        waiting = [threads.submit(gated.service.post, "/predict", SLOW) for _ in range(N_PENDING)]
        wait_until(lambda: gated.n_waiting == N_PENDING)
        refused = latencies_ms(gated.service, "POST", "/predict", json.dumps(ROW), 503)
        healthy = latencies_ms(gated.service, "GET", "/healthz", None, 200)
        gated.open()
        assert [one.result()[0] for one in waiting] == [200] * N_PENDING
    click.echo(json.dumps({"refused": refused, "health": healthy}, indent=2))


if __name__ == "__main__":
    main()
