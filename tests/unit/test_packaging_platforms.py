"""Image, compose file, Procfile, app.json and workflows say the same, and name what exists."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from utils.settings import ALIASES, catalogue

ROOT = Path(__file__).parents[2]
VARIABLES = {setting.variable for setting in catalogue()} | {
    alias for names in ALIASES.values() for alias in names
}
ROOMS = {"app", "data", "mlops", "model", "utils"}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> str:
    """Return a file at the root as text."""
    return (ROOT / name).read_text()


def compose() -> dict[str, dict[str, dict[str, object]]]:
    """Return the compose file, parsed."""
    loaded: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(read("docker-compose.yml"))
    return loaded


def procfile() -> dict[str, str]:
    """Return the commands of the Procfile by process type."""
    return dict(line.split(": ", 1) for line in read("Procfile").splitlines())


def validate(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Check a file against a schema that check-jsonschema brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_follow_their_schema(path: Path) -> None:
    done = validate("vendor.github-workflows", path)
    assert done.returncode == 0, done.stdout


def test_the_compose_file_follows_its_schema() -> None:
    done = validate("vendor.compose-spec", ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout


def test_workflows_call_only_targets_that_make_has() -> None:
    called = {name for path in WORKFLOWS for name in re.findall(r"run: make (\w+)", path.read_text())}
    assert called and called <= set(re.findall(r"^(\w+):", read("Makefile"), re.MULTILINE))


def test_the_procfile_has_web_clock_and_release() -> None:
    assert list(procfile()) == ["web", "clock", "release"]


def test_the_image_starts_web_as_the_procfile_does() -> None:
    command = json.loads(re.findall(r"^CMD (\[.*\])$", read("Dockerfile"), re.MULTILINE)[-1])
    assert procfile()["web"].endswith(" ".join(command))


def test_the_compose_file_starts_the_clock_as_the_procfile_does() -> None:
    assert compose()["services"]["clock"]["command"] == procfile()["clock"].split()


def test_the_compose_file_publishes_on_loopback_only() -> None:
    published = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert published and all(str(port).startswith("127.0.0.1:") for port in published)


def test_the_compose_file_passes_every_setting_on() -> None:
    set_by_the_image = {"HOST", "PORT", "STATE_DIR", "MONGOD", "MODELS_DIR"}
    assert set(compose()["services"]["web"]["environment"]) == VARIABLES - set_by_the_image - {
        "MONGODB_URI",
        "MONGO_URL",
    }


def test_example_settings_are_settings() -> None:
    shown = set(re.findall(r"^# ([A-Z_]+)=", read(".env.example"), re.MULTILINE))
    assert shown and shown <= VARIABLES


def test_app_json_asks_for_settings_that_exist_and_makes_the_secrets() -> None:
    asked = json.loads(read("app.json"))["env"]
    assert set(asked) <= VARIABLES
    assert {name for name in asked if asked[name].get("generator") == "secret"} == {
        "API_KEYS",
        "ADMIN_API_KEYS",
        "SIGNING_KEY",
    }


def test_app_json_forms_the_processes_of_the_procfile() -> None:
    assert set(json.loads(read("app.json"))["formation"]) == set(procfile()) - {"release"}


def test_the_image_gets_every_room() -> None:
    let_in = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    assert ROOMS | {"gunicorn.conf.py", "requirements.txt"} <= let_in


def test_the_slug_keeps_what_runs() -> None:
    ignored = [line.lstrip("/") for line in read(".slugignore").splitlines() if line and line[0] != "#"]
    kept = ROOMS | {"gunicorn.conf.py", "requirements.txt", "Procfile", ".python-version"}
    assert not [name for name in kept for pattern in ignored if fnmatch(name, pattern)]


def test_image_and_heroku_run_the_same_python_and_it_is_tested() -> None:
    version = read(".python-version").strip()
    assert set(re.findall(r"^FROM python:([0-9.]+)-slim", read("Dockerfile"), re.MULTILINE)) == {version}
    assert (
        version
        in yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]["test"]["strategy"]["matrix"]["python"]
    )
