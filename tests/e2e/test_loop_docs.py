"""The examples of the page on the loop run, in its order, against a real service."""

import os
import re
import subprocess
import sys
from pathlib import Path

from model import spec as specs
from tests.running import ROOT, environment


def script(url):
    """All examples as one script that stops at the first that fails."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "loop.md").read_text(), re.S)
    # On a slow machine the training that was asked for over HTTP answers 202 and goes on for a while.
    head = ["set -euo pipefail", 'in_turn() { until "$@"; do sleep 1; done; }']
    text = "\n".join([*head, *blocks]).replace("http://127.0.0.1:8000", url)
    text = text.replace("python -m mlops retrain", "in_turn python -m mlops retrain")
    return text.replace("curl ", "curl -sS --fail-with-body ").replace("python -m", f"{sys.executable} -m")


def test_the_examples_of_the_page_on_the_loop_run(serve, database, trained, tmp_path):
    service = serve()
    env = environment(**trained, STATE_DIR=tmp_path / "shell", PYTHONPATH=ROOT) | {"PATH": os.environ["PATH"]}

    done = subprocess.run(
        ["bash", "-c", script(service.url)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=550,
    )

    assert done.returncode == 0, f"{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
    assert '{"labels":1,"waiting":' in done.stdout
    assert "songs" in done.stdout.splitlines()[-2] or "champion" in done.stdout
    assert list(Path(tmp_path).glob("labels.csv"))


def test_the_sections_of_a_spec_on_the_page_are_right():
    text = (ROOT / "docs" / "loop.md").read_text()
    spec = """
name: t
task: classification
target: {name: y, classes: [0, 1]}
data: {train: t.csv}
features: {year: {type: integer}, fuel: {type: category}}
"""

    for section in re.findall(r"```yaml\n(.*?)```", text, re.S):
        assert specs.loads(spec + section)


def test_the_page_names_every_route_of_the_loop():
    text = (ROOT / "docs" / "loop.md").read_text()

    known = ("/labels", "/feedback", "/retrain", "/run-pipeline", "/jobs/ID", "/promote", "/quality")
    for route in (*known, "/shadow", "/canary"):
        assert route in text
