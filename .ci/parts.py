"""The parts of a deployment: a CycloneDX list of what is pinned, and a look at the licences.

A licence that is on no list fails the check: somebody must read it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

PINS = "requirements.txt"
# Permissive, or with copyleft for their own files only, as unchanged libraries.
ALLOWED = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|0BSD|Zlib|Unlicense|MPL|Mozilla Public License"
    r"|CC0|HPND|LGPL|CNRI|Public Domain)", re.IGNORECASE,
)  # fmt: skip


def main(target: Path) -> int:
    """Write the list of parts to ``target``; return 1 if a licence is not allowed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    run("cyclonedx_py", "requirements", PINS, "--output-file", target, "--of", "JSON")
    found = json.loads(run("piplicenses", "--format", "json", "--packages", *pinned()))
    odd = [one for one in found if not ALLOWED.search(one["License"])]
    for one in odd:
        say(f"parts: {one['Name']} {one['Version']} has the licence {one['License'][:80]!r}")
    say(f"parts: {len(found)} packages, {len(odd)} with a licence to be read first; see {target}.")
    return 1 if odd else 0


def pinned() -> list[str]:
    """Return the names of the packages that a deployment installs."""
    return re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==", Path(PINS).read_text(), re.MULTILINE)


def run(module: str, *arguments: object) -> str:
    """Return what a module prints that is run as a program; raises if it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603


def say(line: str) -> None:
    """Print one line of the report."""
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "var/parts.json")))
