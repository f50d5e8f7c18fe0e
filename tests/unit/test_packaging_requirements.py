"""What is installed is what the code imports, pinned once, with hashes, from no particular index."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path.name for path in ROOT.glob("requirements*.txt"))
OURS = ("app", "mlops", "model", "utils", "data")
BROUGHT = {"itsdangerous", "fsspec"}  # by Flask, and by Dask
TYPES_ONLY = {"_typeshed"}  # known to type checkers, never imported
PIN = re.compile(
    r"^[a-z0-9._-]+==\S+( ; [^\\]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", re.MULTILINE
)
COMMENT_OR_LAYER = re.compile(r"^(#.*|-r requirements[a-z-]*\.txt)?\n", re.MULTILINE)


def pins(file: str) -> list[tuple[str, str]]:
    """Return the packages and versions that one file pins itself."""
    return re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE)


def names(file: str) -> set[str]:
    """Return the packages that one file pins itself."""
    return {name for name, _ in pins(file)}


def asked_for(layer: str) -> set[str]:
    """Return the packages that a layer names by hand."""
    text = (ROOT / "requirements" / f"{layer}.in").read_text()
    return {re.split(r"[^a-z0-9-]", line)[0] for line in text.splitlines() if line and line[0] != "#"}


def imported(folder: str) -> set[str]:
    """Return the top-level names that the modules of a folder import."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_line_is_a_pin_with_hashes_or_a_lower_layer(file: str) -> None:
    rest = COMMENT_OR_LAYER.sub("", PIN.sub("", (ROOT / file).read_text()))
    assert rest == ""


def test_no_package_is_pinned_to_two_versions() -> None:
    pinned = {(name, version) for file in FILES for name, version in pins(file)}
    assert len(pinned) == len({name for name, _ in pinned})


@pytest.mark.parametrize("layer", ["production", "local", "mlflow", "dev"])
def test_what_a_layer_asks_for_is_pinned(layer: str) -> None:
    pinned = {name for file in FILES for name in names(file)}
    assert asked_for(layer) <= pinned


def test_what_the_code_imports_is_asked_for_in_production() -> None:
    known = {*OURS, *sys.stdlib_module_names, *TYPES_ONLY}
    third_party = set().union(*(imported(folder) for folder in OURS)) - known
    distributions = packages_distributions()
    asked = asked_for("production") | asked_for("local") | asked_for("mlflow") | BROUGHT
    # Several distributions may share a namespace; one of them that is asked for brings the others.
    left = {
        m for m in third_party if not asked & {name.lower().replace("_", "-") for name in distributions[m]}
    }
    assert left == set()


def test_the_user_s_list_is_in_production() -> None:
    wanted = "flask gunicorn scikit-learn pandas joblib pymongo scipy apscheduler neptune"
    assert set(wanted.split()) <= names("requirements.txt")
