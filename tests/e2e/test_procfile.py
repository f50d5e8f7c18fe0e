"""The Procfile, run as a platform does: the release command first, then web and clock as processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from utils.mongo import connection

ROOT = Path(__file__).parents[2]
START_S = 60
TRAIN_S = 600


@pytest.fixture(scope="module")
def environ(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of an installation of its own."""
    database = f"test_{uuid.uuid4().hex}"
    yield {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MONGO_URI": mongo_uri,
        "MONGO_DB": database,
        "STATE_DIR": str(tmp_path_factory.mktemp("state")),
        "PORT": str(free_port()),
        "SIGNING_KEY": uuid.uuid4().hex,
    }
    client = connection.connect(mongo_uri, database).client
    client.drop_database(database)
    client.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def released(environ: dict[str, str]) -> dict[str, str]:
    """The settings, once the release command has run."""
    command = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())["release"]
    subprocess.run(["sh", "-c", command], cwd=ROOT, env=environ, check=True, timeout=TRAIN_S)
    return environ


@pytest.fixture
def honcho(released: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Web and clock under honcho, once web is ready."""
    command = [sys.executable, "-m", "honcho", "start", "web", "clock"]
    process = subprocess.Popen(command, cwd=ROOT, env=released, start_new_session=True)
    try:
        wait_until_ready(released)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(environ: dict[str, str]) -> None:
    """Ask ``/readyz`` until it says 200."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            ask(environ, "/readyz")
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"web was not ready in {START_S} s")


def ask(environ: dict[str, str], path: str, body: object = None) -> Any:
    """Return the answer to a request, parsed."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{environ['PORT']}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_web_answers_and_sigterm_stops_all_with_the_answer_stored(
    honcho: subprocess.Popen[bytes], released: dict[str, str]
) -> None:
    row = ask(released, "/models/songs/schema")["examples"][0]
    answered = ask(released, "/predict", row)["predictions"][0]["prediction_id"]
    honcho.terminate()
    honcho.wait(timeout=30)
    database = connection.connect(released["MONGO_URI"], released["MONGO_DB"])
    assert database["predictions"].find_one({"_id": answered}, {"row": 1}) == {"_id": answered, "row": 0}
    connection.close(database)


def test_a_second_release_trains_nothing(released: dict[str, str]) -> None:
    command = [sys.executable, "-m", "model", "train-missing"]
    done = subprocess.run(command, cwd=ROOT, env=released, capture_output=True, text=True, check=True)
    assert done.stdout == "Every model has a champion.\n"
