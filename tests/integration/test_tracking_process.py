"""Trackers in real child processes that hang, raise and die: nobody waits, nothing stays behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlops.tracking import Limits, Trackers
from mlops.tracking.process import Plan

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUICK = Limits(n_queued=10, call_s=0.5, n_attempts=2, backoff_s=0.01, backoff_cap_s=0.02, idle_s=30)

Make = Callable[..., Trackers]


@pytest.fixture
def make(tmp_path: Path, monkeypatch):
    """Make trackers of the named fakes; they are closed at the end."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    made: list[Trackers] = []

    def build(*names: str, limits: Limits = QUICK) -> Trackers:
        plans = {name: Plan(f"tracking_fakes:{name}", {"folder": str(tmp_path)}) for name in names}
        made.append(Trackers(plans, limits, secrets=["s3cret"]))
        return made[-1]

    yield build
    for trackers in made:
        trackers.close(0)


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if is_tracker(p)]


def is_tracker(process: psutil.Process) -> bool:
    try:
        return "mlops.tracking.child" in process.cmdline()
    except psutil.NoSuchProcess:  # it ended between the two looks
        return False


def log(trackers: Trackers, n: int = 1) -> None:
    for _ in range(n):
        trackers.log_series("songs", "3", AT, {"drift/tempo/statistic": 0.25})


def test_a_call_reaches_the_tracker_in_the_child_as_it_was_made(make: Make, tmp_path: Path):
    trackers = make("diary", limits=Limits())
    log(trackers)

    assert trackers.flush(20)
    trackers.close(20)
    assert (tmp_path / "diary").read_text().splitlines() == [
        "songs 3 2026-11-20T12:00:00+00:00 {'drift/tempo/statistic': 0.25}",
        "closed",
    ]


def test_a_hanging_tracker_delays_nobody_and_closing_is_bounded(make: Make):
    trackers = make("hanging", limits=Limits(n_queued=10, call_s=30))
    log(trackers)
    calls = [timed(lambda: log(trackers)) for _ in range(200)]
    closing = timed(lambda: trackers.close(0.5))

    [status] = trackers.status()
    assert sorted(calls)[-10] < 0.001  # the odd one may lose the processor
    assert closing < 2.0
    assert (status["sent"], status["dropped"], status["state"]) == (0, 201, "closed")
    assert status["last_error"] == "cut off at closing"
    assert children() == []


def test_a_hanging_tracker_is_cut_off_counted_and_its_neighbour_goes_on(make: Make):
    trackers = make("hanging", "diary")
    log(trackers, 2)

    assert trackers.flush(30)
    hanging, diary = trackers.status()
    assert (hanging["failed"], hanging["timeouts"], hanging["last_error"]) == (2, 4, "no answer within 0.5 s")
    assert (diary["sent"], diary["failed"]) == (2, 0)


def test_what_a_tracker_raises_is_counted_and_shown_without_secrets(make: Make, caplog):
    trackers = make("raising")
    log(trackers)

    assert trackers.flush(20)
    [status] = trackers.status()
    assert (status["sent"], status["failed"], status["retries"]) == (0, 1, 1)
    assert status["last_error"] == "ConnectionError: no way with token *** to songs"
    assert "s3cret" not in caplog.text


def test_a_tracker_that_dies_is_started_again_and_gets_the_item(make: Make, tmp_path: Path):
    trackers = make("dying", limits=Limits(backoff_s=0.01))
    log(trackers)

    assert trackers.flush(20)
    [status] = trackers.status()
    assert (status["sent"], status["failed"], status["retries"]) == (1, 0, 1)
    assert status["last_error"] == "the process ended (exit code 3)"


def test_a_client_that_cannot_be_imported_is_named_in_the_error(make: Make):
    trackers = make("unopenable")
    log(trackers)

    assert trackers.flush(20)
    assert trackers.status()[0]["last_error"] == "ImportError: this client is not installed"


def test_an_idle_child_is_let_go_and_comes_back(make: Make, tmp_path: Path):
    trackers = make("diary", limits=Limits(idle_s=0.1))
    log(trackers)
    trackers.flush(20)
    wait_until(lambda: not children())
    log(trackers)

    assert trackers.flush(20)
    assert (tmp_path / "diary").read_text().count("songs") == 2


def test_a_child_outlives_ctrl_c_and_sigterm_until_its_parent_is_done(make: Make, tmp_path: Path):
    trackers = make("diary")
    log(trackers)
    trackers.flush(20)
    [child] = children()
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGTERM)
    log(trackers)

    assert trackers.flush(20)
    assert [child] == children()


def test_the_child_gets_no_secrets_of_others(make: Make, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MONGO_URI", "mongodb://me:word@host")
    trackers = make("diary")
    trackers.log_params("songs", "3", {"n": 1})
    trackers.flush(20)

    assert (tmp_path / "diary").read_text() == "{'n': 1} []\n"


@pytest.mark.parametrize("fake", ["diary", "hanging"])
def test_killing_the_parent_leaves_no_child(fake: str, tmp_path: Path):
    parent = start_parent(fake, tmp_path)
    [child] = wait_until(lambda: psutil.Process(parent.pid).children())
    wait_until((tmp_path / "diary").exists)
    parent.kill()
    parent.communicate()

    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def test_a_parent_that_forgets_to_close_ends_at_once_and_leaves_no_child(tmp_path: Path):
    parent = start_parent("hanging", tmp_path, then="input()")
    [child] = wait_until(lambda: psutil.Process(parent.pid).children())
    wait_until((tmp_path / "diary").exists)
    parent.communicate(b"end\n")

    assert parent.wait(10) == 0
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def start_parent(
    fake: str, folder: Path, then: str = "import signal; signal.pause()"
) -> "subprocess.Popen[bytes]":
    code = textwrap.dedent(f"""
        from datetime import datetime, UTC
        from mlops.tracking import Trackers
        from mlops.tracking.process import Plan
        trackers = Trackers({{"fake": Plan("tracking_fakes:{fake}", {{"folder": {str(folder)!r}}})}})
        trackers.log_series("songs", "3", datetime.now(UTC), {{"a": 1.0}})
    """)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
    return subprocess.Popen([sys.executable, "-c", code + then], env=environment, stdin=subprocess.PIPE)


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def wait_until(condition: Callable[[], Any], timeout_s: float = 15) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found
