"""Look the pinned packages up among the known vulnerabilities; say so where the list cannot be reached.

A finding fails the check; a list out of reach does not.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = "requirements-mlflow.txt"  # includes requirements.txt; what only tests need is never deployed
OUT_OF_REACH = re.compile(r"^.*(?:ConnectionError|Timeout|ServiceError|HTTPError).*$", re.MULTILINE)


def main(program: Path) -> int:
    """Return 1 if a pinned version has a known vulnerability or pip-audit fails by itself, else 0."""
    options = ["--vulnerability-service", "osv", "--disable-pip", "--require-hashes", "--timeout", "10"]
    options += ["--format", "json", "--progress-spinner", "off", "--requirement", PINS]
    done = subprocess.run([program, *options], capture_output=True, text=True, check=False)  # noqa: S603
    if done.stdout.startswith("{"):
        return show(json.loads(done.stdout)["dependencies"])
    out_of_reach = OUT_OF_REACH.findall(done.stderr)
    if out_of_reach:
        say(f"pip-audit: SKIPPED, the list of vulnerabilities is out of reach ({out_of_reach[-1][:120]}).")
        return 0
    say(f"pip-audit failed: {done.stderr.strip()}")
    return 1


def show(packages: list[dict[str, Any]]) -> int:
    """Print the findings; return 1 if there are any."""
    found = [describe(package, fault) for package in packages for fault in package.get("vulns", [])]
    say("\n".join(found) or f"pip-audit: none of {len(packages)} packages has a known vulnerability.")
    return 1 if found else 0


def describe(package: dict[str, Any], fault: dict[str, Any]) -> str:
    """Return one finding as a line."""
    fixed = ", ".join(fault["fix_versions"]) or "no version yet"
    return f"pip-audit: {package['name']} {package['version']} has {fault['id']}, fixed in {fixed}"


def say(line: str) -> None:
    """Print one line of the report."""
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(Path(sys.executable).with_name("pip-audit")))
