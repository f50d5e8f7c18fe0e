"""Workflows have little permission, an end, one run at a time, pinned actions, and no secrets in commands."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
workflows = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)


def read(path: Path) -> dict[Any, Any]:
    """Return a workflow, parsed; YAML takes its key ``on`` for a truth."""
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    """Return all steps of a workflow."""
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def test_there_is_one_for_each_purpose() -> None:
    assert {path.stem for path in PATHS} >= {"test", "image", "deploy", "retrain"}


@workflows
def test_by_itself_a_workflow_may_only_read(path: Path) -> None:
    assert read(path)["permissions"] == {"contents": "read"}


@workflows
def test_runs_do_not_get_in_each_others_way_and_end(path: Path) -> None:
    assert read(path)["concurrency"]["group"]
    assert all(job["timeout-minutes"] <= 120 for job in read(path)["jobs"].values())


@workflows
def test_actions_are_pinned_to_a_version(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used and all(re.fullmatch(r"[\w./-]+@v\d+(\.\d+)*", one) for one in used)


@workflows
def test_secrets_and_inputs_reach_commands_through_the_environment(path: Path) -> None:
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert not [one for one in commands if re.search(r"\$\{\{\s*(secrets|inputs|github\.event|vars)", one)]


def test_the_workflow_that_retrains_ends_with_the_gates_exit_code() -> None:
    names = [
        step.get("name") for step in read(ROOT / ".github/workflows/retrain.yml")["jobs"]["retrain"]["steps"]
    ]
    text = (ROOT / ".github/workflows/retrain.yml").read_text()

    assert names[-2:] == ["Report", "The gate"] and 'exit "$CODE"' in text
    assert "python -m mlops retrain" in text and "cml comment" in text and "schedule" in text


def test_the_image_goes_to_every_place_that_is_promised() -> None:
    text = (ROOT / ".github/workflows/deploy.yml").read_text()

    assert all(place in text for place in ("ghcr.io", "git.heroku.com", "gcloud run deploy"))
