"""``make lock``: pin what ``*.in`` asks for, with hashes, in one file a layer. It installs nothing.

A layer names only what the layers below it do not bring on every platform, so that nearly each version is
written down once. Versions that are pinned already stay (``--upgrade`` moves them).
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {
    "production": ("requirements.txt", []),
    "local": ("requirements-local.txt", ["requirements.txt"]),
    "mlflow": ("requirements-mlflow.txt", ["requirements.txt"]),
    "dev": ("requirements-dev.txt", ["requirements-local.txt", "requirements-mlflow.txt"]),
}
COMPILE = ["uv", "pip", "compile", "--quiet", "--no-annotate", "--custom-compile-command", "make lock"]
COMPILE += ["--universal", "--python-version", "3.11", "--generate-hashes"]
PIN_WITHOUT_MARKER = re.compile(r"^([a-z0-9._-]+)==\S+ \\$", re.MULTILINE)


def pinned(path: Path) -> set[str]:
    """Return the names that a requirements file and those it includes pin for every platform."""
    text = path.read_text()
    included = (pinned(path.parent / name) for name in re.findall(r"^-r (\S+)", text, re.MULTILINE))
    return set(PIN_WITHOUT_MARKER.findall(text)).union(*included)


def lock(layer: str, options: list[str]) -> None:
    """Write the file of one layer."""
    name, below = LAYERS[layer]
    known = set().union(*(pinned(ROOT / lower) for lower in below))
    # one version for all Pythons: a model trained with one loads with another
    command = [*COMPILE, "--fork-strategy", "fewest", "--output-file", name]
    command += [part for lower in below for part in ("--constraint", lower)]
    command += [part for package in sorted(known) for part in ("--no-emit-package", package)]
    subprocess.run([*command, *options, f"requirements/{layer}.in"], cwd=ROOT, check=True)  # noqa: S603
    path = ROOT / name
    path.write_text("".join(f"-r {lower}\n" for lower in below) + path.read_text())


if __name__ == "__main__":
    for each in LAYERS:
        lock(each, sys.argv[1:])
