"""Runs the service as in production, for tests and benchmarks: gunicorn with real workers on a free port."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import urllib3

ROOT = Path(__file__).parents[1]
LOG = ("predictions", "drift_counts", "drift_reports", "watermarks", "alerts", "job_runs")
SONG = {
    "popularity": 70, "danceability": 0.81, "energy": 0.74, "key": 1, "loudness": -5.2, "mode": 1,
    "speechiness": 0.05, "acousticness": 0.18, "instrumentalness": 0.0, "liveness": 0.12, "valence": 0.7,
    "tempo": 102.0, "duration": 215000,
}  # fmt: skip


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def environment(**given: object) -> dict[str, str]:
    """Return this process's environment without our settings, and with ``given`` ones."""
    from utils.settings import catalogue

    ours = {setting.variable for setting in catalogue()} | {"MONGODB_URI", "MONGO_URL"}
    return {k: v for k, v in os.environ.items() if k not in ours} | {k: str(v) for k, v in given.items()}


class Service:
    """One gunicorn with its workers."""

    def __init__(self, state_dir: Path, **settings: object) -> None:
        self.port = int(str(settings.pop("PORT", 0))) or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = state_dir / f"service-{self.port}.log"
        self.http = urllib3.PoolManager(maxsize=32, retries=False, timeout=60)
        state_dir.mkdir(parents=True, exist_ok=True)
        env = environment(PORT=self.port, STATE_DIR=state_dir, LOG_LEVEL="INFO", **settings)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"],
                cwd=ROOT,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self, timeout_s: float = 60) -> "Service":
        """Return when predictions are answered."""
        wait_until(self.is_ready, timeout_s, lambda: self.log_path.read_text()[-4_000:])
        return self

    def is_ready(self) -> bool:
        """Tell whether the service says that it is ready."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the service ended:\n{self.log_path.read_text()[-4_000:]}")
        try:
            return self.http.request("GET", f"{self.url}/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Return status and parsed body of a GET."""
        answer = self.http.request("GET", self.url + path, headers=headers)
        return answer.status, _parsed(answer)

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Return status and parsed body of a POST; ``body`` is JSON unless bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.http.request(
            "POST", self.url + path, body=data, headers={"Content-Type": "application/json", **headers}
        )
        return answer.status, _parsed(answer)

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> int:
        """Send a signal to the master and wait; returns the exit code."""
        self.http.clear()  # or it waits a moment for us to notice that it closes
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _parsed(answer: urllib3.BaseHTTPResponse) -> Any:
    kind = answer.headers.get("Content-Type", "")
    return json.loads(answer.data) if "json" in kind else answer.data.decode()


def wait_until(is_so: Any, timeout_s: float = 30, explain: Any = lambda: "") -> None:
    """Return as soon as ``is_so()`` is true; raises TimeoutError with ``explain()`` otherwise."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s. {explain()}")
        time.sleep(0.02)


def run(*arguments: str, timeout_s: float = 300, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run one of our modules, such as ``run("model", "train", "songs")``."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
