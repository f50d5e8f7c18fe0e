"""``python -m mlops drift``: what checks compare with, chosen by people and kept with its history."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec

from mlops.counting import hour_of
from mlops.operations import Operations
from utils.time import now

HOUR = timedelta(hours=1)
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
reason_option = click.option("--reason", default="", help="Kept in the history.")


def drift_group(operations: Callable[[], AbstractContextManager[Operations]]) -> click.Group:
    """Return the group of commands; ``operations`` connects to everything."""

    @click.group("drift")
    def group() -> None:
        """What drift checks take for normal."""

    @group.command()
    @click.argument("model")
    @click.option(
        "--from", "start", type=MOMENT, help="First hour, UTC; by default the spec's window_hours ago."
    )
    @click.option("--to", "end", type=MOMENT, help="Hour after the last, UTC; by default the one under way.")
    @reason_option
    @as_json
    def accept(model: str, start: datetime | None, end: datetime | None, reason: str, is_json: bool) -> None:
        """Take what MODEL was asked in a window for normal from now on, until it has a new version."""
        with operations() as found:
            found.services.require(model)
            spec = found.services.specs[model]
            until = hour_of(_utc(end)) if end else hour_of(now()) + HOUR
            since = hour_of(_utc(start)) if start else until - spec.drift.window_hours * HOUR
            act = found.monitor.accept(spec, (since, until), reason=reason, by=user())
        _say(act, f"{act['n_rows']} rows are now what is normal for {model} {act['version']}.", is_json)

    @group.command()
    @click.argument("model")
    @reason_option
    @as_json
    def reset(model: str, reason: str, is_json: bool) -> None:
        """Compare MODEL with what its spec says again."""
        with operations() as found:
            found.services.require(model)
            act = found.monitor.baselines.reset(model, reason=reason, by=user())
        _say(act, f"{model} is compared with what its spec says.", is_json)

    @group.command()
    @click.argument("model")
    @as_json
    def references(model: str, is_json: bool) -> None:
        """Tell what was accepted as the normal of MODEL when, why and by whom."""
        with operations() as found:
            found.services.require(model)
            acts = found.monitor.baselines.normals.all(model)
        lines = [_line(act) for act in acts]
        _say(acts, "\n".join(lines) or f"{model} is compared with what its spec says.", is_json)

    return group


def user() -> str:
    """Return who is at work."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "command line"


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _line(act: dict[str, Any]) -> str:
    window = (
        f"{act['start']:%Y-%m-%d %H:%M} to {act['end']:%Y-%m-%d %H:%M}" if act["action"] == "accept" else ""
    )
    return f"{act['at']:%Y-%m-%d %H:%M:%S}  {act['action']:<6}  {window}  {act['by']}  {act['reason']}"


def _say(found: Any, text: str, is_json: bool) -> None:
    click.echo(msgspec.json.encode(found).decode() if is_json else text)
