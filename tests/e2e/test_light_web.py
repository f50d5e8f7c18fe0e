"""A web process with a compiled champion is small: nothing of training is loaded in it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT, SONG, environment

HEAVY = ("sklearn", "pandas", "scipy", "joblib", "dask", "distributed", "neptune", "mlflow", "skl2onnx")
MAX_PSS_MB = 250
PROGRAM = f"""
import json, sys
from app.wsgi import app
services = app.extensions["vigia"]
services.start()
answer = app.test_client().post("/predict", json={SONG})
print(answer.status_code, services.describe("songs")["served_by"])
services.stop()
print([name for name in {HEAVY} if name in sys.modules])
"""


def workers(service):
    """Return the ids of the web processes."""
    master = service.process.pid
    return [int(word) for word in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def pss_mb(pid):
    """Return the proportional set size of a process in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1_000


def test_answering_imports_nothing_of_training_and_tracking(trained, tmp_path):
    env = environment(**trained, STATE_DIR=tmp_path) | {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )

    assert done.stdout.splitlines() == ["200 compiled", "[]"], done.stderr[-2_000:]


def test_real_web_processes_map_no_library_of_training_and_stay_small(service):
    for _ in range(50):
        service.post("/predict", [SONG] * 20)
    found = workers(service)
    mapped = {pid: Path(f"/proc/{pid}/maps").read_text() for pid in found}

    assert len(found) == 2
    assert [name for name in HEAVY for text in mapped.values() if f"/{name}/" in text] == []
    assert sum(map(pss_mb, found)) < MAX_PSS_MB
