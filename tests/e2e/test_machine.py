"""``python -m app`` runs everything on this machine, and leaves nothing behind."""

import json
import re
import signal
import subprocess
import sys

import psutil
import pytest
import urllib3

from tests.running import ROOT, SONG, environment, free_port, wait_until


class Machine:
    """``python -m app`` on a folder."""

    def __init__(self, state_dir):
        self.port = free_port()
        self.log = state_dir.parent / f"machine-{self.port}.log"
        env = environment(STATE_DIR=state_dir, PORT=self.port, WEB_CONCURRENCY=1, MONITOR_CRON="* * * * *")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app"],
                cwd=ROOT,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def printed(self):
        return self.log.read_text()

    def wait(self):
        wait_until(lambda: "Ctrl-C stops everything." in self.printed(), 120, self.printed)

    def predict(self):
        url = f"http://127.0.0.1:{self.port}/predict"
        answer = urllib3.request("POST", url, json=SONG, retries=False, timeout=30)
        return answer.json()["predictions"][0]["prediction_id"]

    def check(self):
        url = f"http://127.0.0.1:{self.port}/models/songs/monitor"
        assert urllib3.request("POST", url, retries=False, timeout=60).status == 200

    def family(self):
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def stop(self, number=signal.SIGTERM):
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(60)
        _, alive = psutil.wait_procs(family, timeout=10)
        return code, alive


@pytest.fixture
def start(tmp_path):
    machines = []

    def start_one():
        machines.append(Machine(tmp_path / "state"))
        machines[-1].wait()
        return machines[-1]

    yield start_one
    for machine in machines:
        if machine.process.poll() is None:
            machine.stop()


def test_it_trains_answers_stops_without_a_trace_and_comes_back_with_its_data(start, tmp_path):
    first = start()
    prediction_id = first.predict()
    curl = re.search(r"-d '(.+)'", first.printed()).group(1)

    first.check()

    assert json.loads(curl).keys() >= SONG.keys() - {"popularity"}
    assert (tmp_path / "state" / "mongo-uri").read_text().startswith("mongodb://127.0.0.1:")
    assert first.stop(signal.SIGINT) == (0, [])
    assert not (tmp_path / "state" / "mongo-uri").exists()

    again = start()
    found = urllib3.request("GET", f"http://127.0.0.1:{again.port}/predictions/{prediction_id}", timeout=30)

    assert found.status == 200
    assert "is champion" not in again.printed()  # nothing was trained again
    assert again.stop() == (0, [])


def test_when_it_is_killed_its_children_end_too(start):
    machine = start()
    family = machine.family()

    machine.process.kill()

    _, alive = psutil.wait_procs(family, timeout=40)
    assert [process.cmdline() for process in alive] == []


def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env=environment(STATE_DIR=tmp_path, MAX_ROWS="many"),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 1
    assert "MAX_ROWS" in done.stderr
    assert "Traceback" not in done.stderr
