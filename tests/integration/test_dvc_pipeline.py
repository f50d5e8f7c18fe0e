"""``dvc.yaml`` runs for real, in a copy of the project, with one model and a small table."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.running import ROOT, environment

COPIED = ("data", "model", "utils", ".dvc", "dvc.yaml", "params.yaml", ".dvcignore", "pyproject.toml")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project with its pipeline, and a smaller one to run."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__", "*.csv", "cache", "tmp")
    for name in COPIED:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, folder / name, ignore=ignored)
        else:
            shutil.copy(place, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"models": ["titanic"], "rows": 200}))
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC and return what it printed."""
    env = environment(STATE_DIR=folder / "var", TRACKERS="", DVC_NO_ANALYTICS="1", DVC_STUDIO_OFFLINE="1")
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return done.stdout


def test_the_pipeline_runs_shows_metrics_and_plots_and_runs_again_only_where_it_must(copy):
    dvc(copy, "repro")
    metrics = json.loads(dvc(copy, "metrics", "show", "--json"))[""]["data"]["build/metrics-titanic.json"][
        "data"
    ]
    page = dvc(copy, "plots", "show", "--out", "build/plots").strip()
    again = dvc(copy, "repro")

    assert metrics["rows"] == 2_000 and metrics["metrics"]["roc_auc"] > 0.7
    assert "observed" in Path(page.removeprefix("file://")).read_text()
    assert "Running stage" not in again


def test_each_bundled_model_has_its_stages():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

    assert {path.stem for path in (ROOT / "model" / "specs").glob("*.yaml")} == set(params["models"])
    assert list(stages) == ["prepare", "train", "evaluate"]
