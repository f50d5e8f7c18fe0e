"""What the log costs: appends, records, and shipping into a private MongoDB.

    python -m bench.spool              # everything, about a minute
    python -m bench.spool append ship  # some of it

CPU is that of this process; on a busy machine compare CPU, not wall time.
"""

import os
import random
import shutil
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mlops.record import LoggedRequest, decode, documents, encode
from mlops.shipping import Shipper
from utils.spool import Entry, Spool
from utils.time import prediction_ids

NAMES = tuple(f"feature_{number}" for number in range(15))
PAYLOAD = os.urandom(400)
ROOMY = 4_000_000_000


def main() -> None:
    """Run the parts that are named on the command line, or all."""
    parts = {"append": append, "threads": threads, "sync": sync, "record": record, "ship": ship}
    folder = Path(tempfile.mkdtemp(prefix="bench-spool-", dir="."))
    try:
        for name in sys.argv[1:] or parts:
            print(f"\n{name}: {(parts[name].__doc__ or '').strip()}")
            parts[name](folder)
    finally:
        shutil.rmtree(folder)


def cost(action: Callable[[], object], times: int) -> tuple[float, float]:
    """Return CPU and wall time of one call, in microseconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        action()
    return (time.process_time() - cpu) / times * 1e6, (time.perf_counter() - wall) / times * 1e6


def append(folder: Path) -> None:
    """One thread appends; microseconds an append."""
    for fsync in (False, True):
        for size in (400, 20_000, 200_000):
            times = 500 if fsync else min(20_000, 40_000_000 // size)
            cpu, wall = append_cost(folder / "append", os.urandom(size), times, fsync=fsync)
            print(f"  fsync={fsync!s:5} {size:7} bytes: {cpu:7.1f} µs CPU {wall:8.1f} µs")


def append_cost(folder: Path, payload: bytes, times: int, *, fsync: bool) -> tuple[float, float]:
    """Return CPU and wall time of one append, in microseconds."""
    spool = Spool.open(folder, max_bytes=ROOMY, fsync=fsync)
    found = cost(lambda: spool.append(payload, 1), times)
    empty(spool)
    spool.close()
    return found


def empty(spool: Spool) -> None:
    """Forget everything."""
    while batch := spool.peek(100_000):
        spool.forget(batch[-1].seq + batch[-1].rows - 1)


class Nothing:
    """No log at all: what the requests themselves cost."""

    def append(self, payload: bytes, rows: int) -> int:
        return rows

    def peek(self, max_rows: int) -> Sequence[Entry]:
        return []

    def forget(self, last_seq: int) -> None:
        pass


class Plain:
    """One table, one connection: INSERT and COMMIT under a lock, SELECT and DELETE to ship."""

    def __init__(self, path: Path, synchronous: str = "OFF") -> None:
        self._lock = threading.Lock()
        self._seq = 0
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", f"synchronous = {synchronous}"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, payload BLOB, rows INTEGER)")

    def append(self, payload: bytes, rows: int) -> int:
        with self._lock:
            self._seq += 1
            self._connection.execute("INSERT INTO entries VALUES (?, ?, ?)", (self._seq, payload, rows))
            return self._seq

    def append_all(self, payloads: Sequence[bytes]) -> None:
        with self._lock:
            self._connection.execute("BEGIN")
            for payload in payloads:
                self._seq += 1
                self._connection.execute("INSERT INTO entries VALUES (?, ?, 1)", (self._seq, payload))
            self._connection.execute("COMMIT")

    def peek(self, max_rows: int) -> Sequence[Entry]:
        with self._lock:
            found = self._connection.execute("SELECT * FROM entries ORDER BY seq LIMIT ?", (max_rows,))
            return [Entry(*row) for row in found.fetchall()]

    def forget(self, last_seq: int) -> None:
        with self._lock:
            self._connection.execute("DELETE FROM entries WHERE seq <= ?", (last_seq,))


class Writer(Plain):
    """A thread of its own commits for everybody who waits."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._waiting: list[tuple[bytes, threading.Event]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._write, daemon=True).start()

    def append(self, payload: bytes, rows: int) -> int:
        done = threading.Event()
        with self._changed:
            self._waiting.append((payload, done))
            self._changed.notify()
        done.wait()
        return rows

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                group, self._waiting = self._waiting, []
            self.append_all([payload for payload, _ in group])
            for _, done in group:
                done.set()


Log = Nothing | Plain | Spool


def threads(folder: Path) -> None:
    """Four threads with 100 µs of work a request and sockets append, one ships; medians of three rounds."""
    makers: dict[str, Callable[[int], Log]] = {
        "no log": lambda _: Nothing(),
        "INSERT + COMMIT under a lock": lambda number: Plain(folder / f"plain-{number}"),
        "a writer thread, group commit": lambda number: Writer(folder / f"writer-{number}"),
        "this spool": lambda _: Spool.open(folder / "threads", max_bytes=ROOMY),
    }
    rounds = {name: [load(make(number)) for number in range(3)] for name, make in makers.items()}
    for name, results in rounds.items():
        cpu, p50, p99 = (sorted(column)[1] for column in zip(*results, strict=True))
        print(f"  {name:30} {cpu:6.1f} µs CPU a request, p50 {p50:5.2f} ms, p99 {p99:5.2f} ms")


def load(log: Log, seconds: float = 2.0) -> tuple[float, float, float]:
    """Return CPU a request in microseconds, and median and 99th percentile of its time in milliseconds."""
    stopped, times = threading.Event(), []
    requests = [threading.Thread(target=request_loop, args=(log, stopped, times)) for _ in range(4)]
    running = [*requests, threading.Thread(target=ship_loop, args=(log, stopped))]
    cpu = time.process_time()
    for thread in running:
        thread.start()
    time.sleep(seconds)
    stopped.set()
    for thread in running:
        thread.join()
    cpu = time.process_time() - cpu
    times.sort()
    return cpu / len(times) * 1e6, times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3


def request_loop(log: Log, stopped: threading.Event, times: list[float]) -> None:
    """Send, receive, work, append, answer: where a request gives the interpreter lock away."""
    client, server = socket.socketpair()
    with client, server:
        while not stopped.is_set():
            start = time.perf_counter()
            client.send(PAYLOAD)
            server.recv(1_000)
            sum(range(8_000))
            log.append(PAYLOAD, 1)
            server.send(PAYLOAD)
            client.recv(1_000)
            times.append(time.perf_counter() - start)


def ship_loop(log: Log, stopped: threading.Event) -> None:
    """Take what is there five times a second, as the shipper does."""
    while not stopped.wait(0.2):
        while len(batch := log.peek(200)) == 200:
            log.forget(batch[-1].seq)


def sync(folder: Path) -> None:
    """Appends that the disk has (SPOOL_FSYNC), with as many threads as said."""
    for n_threads in (1, 4, 16):
        plain = synced(Plain(folder / f"sync-{n_threads}", "FULL"), n_threads)
        ours = synced(Spool.open(folder / "sync", max_bytes=ROOMY, fsync=True), n_threads)
        print(f"  {n_threads:2} threads: INSERT + COMMIT under a lock {plain}; this spool {ours}")


def synced(log: Log, n_threads: int, seconds: float = 2.0) -> str:
    """Let ``n_threads`` append as often as they can."""
    stopped, counts = threading.Event(), [0] * n_threads
    running = [threading.Thread(target=append_loop, args=(log, stopped, counts, n)) for n in range(n_threads)]
    cpu = time.process_time()
    for thread in running:
        thread.start()
    time.sleep(seconds)
    stopped.set()
    for thread in running:
        thread.join()
    cpu = (time.process_time() - cpu) / sum(counts) * 1e6
    return f"{sum(counts) / seconds:6,.0f} a second, {cpu:4.0f} µs CPU each"


def append_loop(log: Log, stopped: threading.Event, counts: list[int], thread: int) -> None:
    """Append until told to stop."""
    while not stopped.is_set():
        log.append(PAYLOAD, 1)
        counts[thread] += 1


def logged(n_rows: int) -> LoggedRequest:
    """One request of the size of a song's."""
    values = [(*(random.random() for _ in range(14)), "reggaeton") for _ in range(n_rows)]
    return LoggedRequest(
        request_id=prediction_ids(1)[0],
        model="songs",
        version="3",
        at=datetime.now(UTC),
        served_by="compiled",
        latency_ms=0.3,
        names=NAMES,
        values=values,
        ids=prediction_ids(n_rows),
        predictions=[1] * n_rows,
        probabilities=[0.3] * n_rows,
    )


def record(folder: Path) -> None:
    """Records with 15 features; microseconds of CPU and bytes a row."""
    for n_rows in (1, 100, 1_000):
        request = logged(n_rows)
        payload = encode(request)
        steps: dict[str, Callable[[], object]] = {
            "encode": lambda request=request: encode(request),  # type: ignore[misc]
            "decode": lambda payload=payload: decode(payload),  # type: ignore[misc]
            "documents": lambda request=request: documents(request, "s" * 32, 1),  # type: ignore[misc]
        }
        parts = [f"{name} {cost(step, 20_000 // n_rows)[0] / n_rows:.2f} µs" for name, step in steps.items()]
        print(f"  {n_rows:5} rows: {len(payload) / n_rows:.0f} bytes, {', '.join(parts)}")


def ship(folder: Path) -> None:
    """20,000 rows from the spool into MongoDB; the pause is the longest of 99 % that another thread saw."""
    from utils import embedded_mongo

    with embedded_mongo.start(folder / "state") as mongo:
        for n_rows in (1, 100):
            for batch_rows in (50, 100, 200, 500, 1_000):
                print(f"  {n_rows:3} rows a request, batches of {batch_rows:5}: ", end="")
                print(shipped(mongo.uri, folder / "ship", n_rows, batch_rows))


def shipped(uri: str, folder: Path, n_rows: int, batch_rows: int, total: int = 20_000) -> str:
    """Ship ``total`` rows and say what it took."""
    from utils.mongo import connection
    from utils.mongo.predictions import PredictionStore

    db = connection.connect(uri, "bench")
    db.client.drop_database("bench")
    spool = Spool.open(folder, max_bytes=ROOMY)
    for _ in range(total // n_rows):
        spool.append(encode(logged(n_rows)), n_rows)
    shipper = Shipper(spool, PredictionStore(db), folder, batch_rows=batch_rows, linger_s=0)
    pauses, done = [], threading.Event()
    watch = threading.Thread(target=watch_pauses, args=(pauses, done))
    watch.start()
    shipper.start()
    cpu, wall = cost(lambda: shipper.drain(120), 1)
    done.set()
    watch.join()
    shipper.stop()
    spool.close()
    connection.close(db)
    pause = sorted(pauses)[len(pauses) * 99 // 100] * 1e3
    return f"{cpu / total:5.1f} µs CPU a row, {total / wall * 1e6:7,.0f} rows/s, pause {pause:5.2f} ms"


def watch_pauses(pauses: list[float], done: threading.Event) -> None:
    """Note how late a thread gets on that wants to run every 0.2 ms."""
    last = time.perf_counter()
    while not done.is_set():
        time.sleep(0.000_2)
        last, before = time.perf_counter(), last
        pauses.append(last - before)


if __name__ == "__main__":
    main()
