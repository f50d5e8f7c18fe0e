"""The examples of the pages on whole files and pipelines run."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.running import ROOT, environment


def script(page):
    """All examples of a page as one script that stops at the first that fails."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)
    return "\n".join(["set -euo pipefail", *blocks]).replace("python -m", f"{sys.executable} -m")


@pytest.fixture
def shown(trained, tmp_path):
    """Run the examples of a page and return what they print."""

    def run(page):
        env = environment(**trained, STATE_DIR=tmp_path / "shell", PYTHONPATH=ROOT)
        done = subprocess.run(
            ["bash", "-c", script(page)],
            cwd=tmp_path,
            env=env | {"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
        return done.stdout

    return run


def test_the_examples_on_whole_files_run(shown, database, tmp_path):
    printed = shown("batch.md")

    counts = json.loads(printed.splitlines()[-1])
    assert "row,id_new,prediction,class,probability,warnings" in printed
    assert counts["rows"] == 2_000 and counts["logged"] == counts["scored"] > 1_900
    assert database.predictions.count_documents({}) == counts["logged"]
    assert len((tmp_path / "logged.ndjson").read_text().splitlines()) == counts["logged"]


def test_the_examples_on_pipelines_run(shown, tmp_path):
    assert "roc_auc" in shown("pipelines.md")
    assert (tmp_path / "version" / "manifest.json").is_file()
    assert (tmp_path / "curve.csv").read_text().startswith("predicted,observed,rows\n")
