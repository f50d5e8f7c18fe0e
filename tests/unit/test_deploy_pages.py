"""The commands in docs/deploy/ are commands: shell that parses, and names of ours that there are.

What can be run here is run elsewhere: the processes in ``test_procfile``, manifests against their schemas in
``test_deploy_files``.
"""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from app.health import PATHS as HEALTH
from mlops.__main__ import main as mlops
from model.__main__ import main as model
from utils.settings import ALIASES, catalogue

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "deploy").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SETTINGS = {setting.variable for setting in catalogue()} | {
    name for names in ALIASES.values() for name in names
}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
DEPLOY = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()


def shell(page):
    """Return the shell of a page, lines that go on joined."""
    blocks = BLOCK.findall((ROOT / "docs" / "deploy" / f"{page}.md").read_text())
    return "\n".join(text for kind, text in blocks if kind in ("", "sh", "bash")).replace("\\\n", " ")


def options(command):
    """Return the options of a command by name, those without a value as None."""
    words = shlex.split(command)
    found = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            name, is_joined, value = word.partition("=")
            found[name] = value if is_joined else None if following.startswith("--") else following
    return found


def gcloud(verb):
    """Return the options of the page's gcloud command with this verb."""
    return options(re.search(rf"gcloud {verb} [^\n]*", shell("cloud-run"))[0])


def test_there_is_a_page_for_each_platform():
    assert {path.stem for path in PAGES} >= {"docker", "heroku", "kubernetes", "cloud-run", "monitoring"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_shell_of_a_page_parses(path):
    done = subprocess.run(["bash", "-n"], input=shell(path.stem), capture_output=True, text=True, check=False)

    assert shell(path.stem) and done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_of_ours_are_there_with_their_options(path):
    for program, name, rest in re.findall(r"python -m (mlops|model) ([\w-]+)([^#\n\"&]*)", shell(path.stem)):
        group = {"mlops": mlops, "model": model}[program]
        command = group.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        if not hasattr(command, "commands"):
            assert {word for word in shlex.split(rest) if word.startswith("--")} <= known, (name, rest)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_settings_that_a_page_sets_are_settings(path):
    given = re.findall(r"(?:config:set|config:get|--set-env-vars) ([^\n]*?)(?=\s--|\n|$)", shell(path.stem))
    names = {name for text in given for name in re.findall(r"(?:^|[ ,])([A-Z][A-Z_]+)(?==|$)", text)}
    secrets = set(
        re.findall(
            r"^([A-Z_]+)=", "\n".join(re.findall(r"<<END\n(.*?)END", shell(path.stem), re.DOTALL)), re.M
        )
    )

    assert names | secrets <= SETTINGS
    assert not given or names


def test_compose_commands_name_services_and_profiles_that_there_are():
    text = shell("docker") + shell("monitoring")
    run = re.findall(r"docker compose run --rm (\S+)", text)
    shown = [name for names in re.findall(r"docker compose logs -f ([^\n]*)", text) for name in names.split()]
    profiles = re.findall(r"docker compose --profile (\S+)", text)

    assert run and profiles and {*run, *shown} <= set(COMPOSE)
    assert set(profiles) <= {profile for one in COMPOSE.values() for profile in one.get("profiles", ())}


def test_heroku_scales_the_processes_of_the_procfile():
    scaled = re.search(r"ps:scale ([^\n]*)", shell("heroku"))[1]

    assert {one.split("=")[0] for one in scaled.split()} == set(PROCFILE) - {"release"}


def test_kubectl_names_what_the_manifests_make():
    text = shell("kubernetes")
    manifests = [
        one
        for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml")
        for one in yaml.safe_load_all(path.read_text())
    ]
    made = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in manifests if "metadata" in one}

    assert all(
        (ROOT / place).exists() for place in re.findall(r"(?:apply -f|--kustomize|cd) (deploy\S+)", text)
    )
    assert set(re.findall(r"rollout status (\S+)", text)) <= made
    assert {f"namespace/{name}" for name in re.findall(r"--namespace (\S+)", text)} <= made
    named = re.findall(r"create secret generic (\S+)", text)
    assert named and all(f'"name": "{name}"' in json.dumps(manifests) for name in named)
    assert all(
        f'"image": "{image}' in json.dumps(manifests) for image in re.findall(r"set image (\w+)=", text)
    )


def test_cloud_run_runs_the_processes_of_the_procfile():
    release, clock = gcloud("run jobs deploy"), gcloud("run worker-pools deploy")

    assert (release["--command"], release["--args"]) == ("sh", f"-c,{PROCFILE['release']}")
    assert [clock["--command"], *clock["--args"].split(",")] == PROCFILE["clock"].split()


def test_cloud_run_asks_the_port_and_the_health_of_the_image():
    web = gcloud("run deploy")
    probes = [
        dict(one.split("=") for one in web[f"--{kind}-probe"].split(",")) for kind in ("startup", "liveness")
    ]

    assert f"PORT={web['--port']}" in (ROOT / "Dockerfile").read_text()
    assert {one["httpGet.path"].encode() for one in probes} <= HEALTH
    # Google keeps paths that end in z for itself, from outside.
    assert not re.search(r"\$\{?(?:URL|url)\}?/\w*z\b", shell("cloud-run") + DEPLOY.split("cloud-run:")[1])


def test_cloud_run_gives_all_three_the_secrets_that_are_made():
    text = shell("cloud-run")
    given = dict(one.split("=") for one in re.search(r"export SECRETS=(\S+)", text)[1].split(","))
    listed = re.search(r"for name in ([^;]*);", text)[1].split()
    made = {"vigia-mongo-uri", *(f"vigia-{name}" for name in listed)}

    assert set(given) <= SETTINGS
    assert {name.removesuffix(":latest") for name in given.values()} == made
    assert len(re.findall(r"gcloud run [a-z -]*deploy [^\n]*--set-secrets \$SECRETS", text)) == 3


def test_the_workflow_moves_what_the_page_makes():
    made = set(re.findall(r"gcloud run (?:jobs |worker-pools )?deploy (\S+)", shell("cloud-run")))
    moved = set(
        re.findall(r"gcloud run (?:jobs update|worker-pools update|deploy) \"\$SERVICE([\w-]*)\"", DEPLOY)
    )

    assert {f"vigia{ending}" for ending in moved} == made
