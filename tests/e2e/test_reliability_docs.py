"""The examples of the page on reliability run against a real service, and it names what there is."""

import json
import os
import re
import subprocess

from tests.running import ROOT, environment
from utils.settings import catalogue

TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page_on_reliability_run(service, tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    script = "\n".join(["set -euo pipefail", *blocks]).replace("http://127.0.0.1:8000", service.url)
    done = subprocess.run(
        ["bash", "-c", script.replace("curl ", "curl -sS --fail-with-body ")],
        cwd=tmp_path,
        env=environment() | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, f"{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
    documented = json.loads(re.search(r"```json\n(.*?)```", TEXT, re.S)[1])
    shown = json.loads(done.stdout.splitlines()[0])
    assert documented.keys() <= shown.keys()
    assert documented["log"].keys() == shown["log"].keys()


def test_the_settings_that_the_page_names_are_there():
    named = set(re.findall(r"`([A-Z][A-Z_]+)(?:=\w+)?`", TEXT)) - {"FAULTS_STOP_S"}

    assert named <= {setting.variable for setting in catalogue()}
