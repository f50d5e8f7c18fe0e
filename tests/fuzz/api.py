"""Made-up requests to every route of a running service, by its own description and in sequences.

    python -m tests.fuzz.api --cases 20000 --seed 1

Trains the bundled models on simulated tables in a private MongoDB, starts the service with keys, and has
schemathesis ask until there were so many cases: no 5xx, no status and no body that ``/openapi.json`` does not
describe, no route open without a key. The pages for people, which it does not describe, are asked by
``pages``. Prints the count, and ends with 1 if anything failed.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import click

from tests.fuzz.pages import document
from tests.running import Service, run
from utils import embedded_mongo

CONFIG = Path(__file__).parent / "schemathesis.toml"
ADMIN = "admin-key-of-the-fuzzer"
MODELS = ("songs", "movies", "trees", "cars", "titanic")
# What is left out: bodies that only the model can judge (`positive_data_acceptance`,
# `negative_data_rejection`); rows are in MongoDB a moment after the answer (`ensure_resource_availability`);
# who is erased is a person of whom there is nothing, not an unknown one (`use_after_free`).
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,missing_required_header,unsupported_method,allow_header_conformance,ignored_auth"
)
PAGE_CHECKS = "not_a_server_error,status_code_conformance"


class Outcome(NamedTuple):
    """What came of a run: how many cases there were, whether all went well, and what was said."""

    n_cases: int
    is_fine: bool
    text: str


def ask(
    service: Service,
    *,
    n_examples: int,
    seed: int,
    phases: str,
    pages: Path | None = None,
    checks: str = CHECKS,
) -> Outcome:
    """Have made-up requests answered: those of the description, or of the document of ``pages``."""
    place = [str(pages), "--url", service.url] if pages else [f"{service.url}/openapi.json"]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", *place]
    command += [
        "--header",
        f"X-API-Key:{ADMIN}",
        "--header",
        "Prefer:respond-async",
        "--request-timeout",
        "60",
        "--continue-on-failure",
    ]
    command += ["--checks", PAGE_CHECKS if pages else checks, "--suppress-health-check", "all"]
    command += [
        "--phases",
        phases,
        "--max-examples",
        str(n_examples),
        "--seed",
        str(seed),
        "--warnings",
        "off",
    ]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = re.search(r"(\d[\d,]*) generated", done.stdout)
    n_cases = int(found[1].replace(",", "")) if found else 0
    return Outcome(n_cases, done.returncode == 0 and n_cases > 0, done.stdout + done.stderr)


def ask_until(service: Service, n_cases: int, seed: int, folder: Path) -> Outcome:
    """Ask everything, with other seeds again until there were ``n_cases``; stops at the first failure."""
    pages = folder / "pages.json"
    pages.write_text(json.dumps(document(service)))
    total = 0
    while total < n_cases:
        for place in (None, pages):
            phases = "examples,coverage,fuzzing,stateful" if place is None else "coverage,fuzzing"
            found = ask(service, n_examples=50, seed=seed, phases=phases, pages=place)
            total += found.n_cases
            if not found.is_fine:
                return Outcome(total, False, found.text)
        click.echo(f"{total:,} cases", err=True)
        seed += 1
    return Outcome(total, True, "")


def train(**settings: object) -> None:
    """Give each bundled model a champion."""
    run("data", "make", *MODELS)
    done = run("model", "train-missing", timeout_s=900, **settings)
    if done.returncode:
        raise click.ClickException(done.stderr)


@click.command()
@click.option("--cases", default=20_000, show_default=True, help="At least so many.")
@click.option("--seed", default=1, show_default=True, help="Of the first round.")
def main(cases: int, seed: int) -> None:
    """Ask a service of this checkout with made-up requests."""
    with tempfile.TemporaryDirectory() as name, embedded_mongo.start(Path(name) / "mongo") as mongo:
        folder = Path(name)
        settings = {"MONGO_URI": mongo.uri, "SIGNING_KEY": "the key of the fuzzer", "TRACKERS": ""}
        train(STATE_DIR=folder / "training", **settings)
        with Service(folder / "service", ADMIN_API_KEYS=ADMIN, **settings) as service:
            found = ask_until(service.wait_until_ready(), cases, seed, folder)
            log = service.log_path.read_text()
    n_bugs = log.count("unexpected error") + log.count("fault of the server")
    click.echo(found.text if not found.is_fine else "", nl=False)
    click.echo(json.dumps({"cases": found.n_cases, "failed": not found.is_fine, "tracebacks": n_bugs}))
    sys.exit(0 if found.is_fine and not n_bugs else 1)


if __name__ == "__main__":
    main()
