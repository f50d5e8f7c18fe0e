"""The examples of the page on the loop run, in its order, against a real service."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT, environment


def script(url):
    """All examples as one script that stops at the first that fails."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "loop.md").read_text(), re.S)
    text = "\n".join(["set -euo pipefail", *blocks]).replace("http://127.0.0.1:8000", url)
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
        timeout=400,
    )

    assert done.returncode == 0, f"{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
    assert '{"labels":1,"waiting":' in done.stdout
    assert "songs" in done.stdout.splitlines()[-2] or "champion" in done.stdout
    assert list(Path(tmp_path).glob("labels.csv"))


def test_the_page_names_every_route_of_the_loop():
    text = (ROOT / "docs" / "loop.md").read_text()

    for route in ("/labels", "/feedback", "/retrain", "/run-pipeline", "/jobs/ID", "/promote", "/quality"):
        assert route in text
