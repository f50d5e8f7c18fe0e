"""Servers under test as real process groups, and what they cost: processor time and memory from ``/proc``."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 60.0
WORKERS = 2


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """One gunicorn with two workers.

    Parameters
    ----------
    name : str
        What tables call it.
    arguments : sequence of str
        Behind ``gunicorn``.
    log : Path
        Gets all it writes.
    path, ready : str
        Where predictions are posted, and where it says that it can answer them.
    settings : str
        Environment variables.
    """

    def __init__(self, name: str, arguments: list[str], log: Path, *, ready: str, **settings: str) -> None:
        self.name = name
        self.port = free_port()
        self.log = log
        self._ready = ready
        started = time.monotonic()
        environment = {**os.environ, "PORT": str(self.port), "HOST": "127.0.0.1", **settings}
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *arguments],
                cwd=ROOT,
                env=environment | {"OMP_NUM_THREADS": "1", "WEB_CONCURRENCY": str(WORKERS)},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._wait_until_ready()
        self.start_s = time.monotonic() - started

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start:\n{self.log.read_text()[-4_000:]}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + self._ready, timeout=1):
                return True
        except urllib.error.HTTPError as error:
            return error.code in (404, 405)  # it answers; the baselines have no health
        except OSError:
            return False

    def processes(self) -> list[int]:
        """Return the ids of master and workers."""
        return [self._process.pid, *children(self._process.pid)]

    def cpu_s(self) -> float:
        """Return the processor time of master and workers so far."""
        return sum(map(cpu_s, self.processes()))

    def memory_mb(self) -> float:
        """Return the memory of all workers together, each shared page divided by those who share it (PSS)."""
        return sum(pss_mb(pid) for pid in children(self._process.pid))

    def stop(self) -> None:
        """Stop it as a platform would."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(40)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def children(pid: int) -> list[int]:
    """Return the ids of the processes that ``pid`` started and that still run."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def cpu_s(pid: int) -> float:
    """Return the processor time of one process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def pss_mb(pid: int) -> float:
    """Return the proportional set size of one process in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1_000


def waited(until: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether ``until()`` became true in time."""
    deadline = time.monotonic() + timeout_s
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
