"""A process that is asked to end ends, however often and whenever it is asked."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from utils.stopping import StopSignal

ROOT = Path(__file__).parents[2]
# A signal comes at each line of what waits, as it may in life.
INTERRUPTED = """
import signal, sys
from utils.stopping import StopSignal
stop = StopSignal()

def interrupt(frame, event, argument):
    if frame.f_code.co_filename.endswith(("threading.py", "stopping.py")) and event == "line":
        signal.raise_signal(signal.SIGTERM)
    return interrupt

sys.settrace(interrupt)
print(stop.wait(30))
"""


@pytest.fixture
def handlers():
    """The signals of this process, as they were."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_signal_at_any_moment_of_a_wait_ends_it():
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)

    assert done.stdout == "True\n"


def test_all_who_wait_go_on(handlers):
    stop = StopSignal()
    waiting = [threading.Thread(target=stop.wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    os.kill(os.getpid(), signal.SIGTERM)
    for thread in waiting:
        thread.join(30)

    assert not any(thread.is_alive() for thread in waiting)
    assert stop.is_set()


def test_a_wait_without_a_signal_ends_in_time(handlers):
    assert not StopSignal().wait(0.01)
