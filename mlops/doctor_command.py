"""``python -m mlops doctor``: looks a deployment over."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import click

from mlops.doctor import Finding, examine
from mlops.services import Services
from utils.terminal import as_json, say

MARKS = {"ok": "ok     ", "warning": "WARNING", "fault": "FAULT  "}


def doctor_command(services: Callable[[], AbstractContextManager[Services]]) -> click.Command:
    """Return the command; ``services`` connects, to a MongoDB that may be away."""

    @click.command("doctor")
    @as_json
    def doctor(is_json: bool) -> None:
        """Look this deployment over and say what to fix. Exit code 1: something will not work."""
        with services() as connected:
            found = examine(connected)
        say(found, _table(found), is_json)
        sys.exit(1 if any(one.state == "fault" for one in found) else 0)

    return doctor


def _table(found: Sequence[Finding]) -> str:
    lines = [f"{MARKS[one.state]} {one.check:<9} {one.sentence}" for one in found]
    fixes = [f"\n{' ' * 18}{one.fix}" if one.fix else "" for one in found]
    return "\n".join(line + fix for line, fix in zip(lines, fixes, strict=True))
