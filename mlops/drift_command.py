"""``python -m mlops drift``: what checks compare with, chosen by people and kept with its history."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from mlops.counting import hour_of
from mlops.operations import Operations
from utils.terminal import as_json, say, user
from utils.time import now

HOUR = timedelta(hours=1)
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
reason_option = click.option("--reason", default="", help="Kept in the history.")


Connected = Callable[[], AbstractContextManager[Operations]]


def drift_group(operations: Connected) -> click.Group:
    """Return the group of commands; ``operations`` connects to everything."""
    commands = (_accept(operations), _reset(operations), _references(operations))
    return click.Group("drift", commands, help="What drift checks take for normal.")


def _accept(operations: Connected) -> click.Command:
    @click.command("accept")
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
        say(act, f"{act['n_rows']} rows are now what is normal for {model} {act['version']}.", is_json)

    return accept


def _reset(operations: Connected) -> click.Command:
    @click.command("reset")
    @click.argument("model")
    @reason_option
    @as_json
    def reset(model: str, reason: str, is_json: bool) -> None:
        """Compare MODEL with what its spec says again."""
        with operations() as found:
            found.services.require(model)
            act = found.monitor.baselines.reset(model, reason=reason, by=user())
        say(act, f"{model} is compared with what its spec says.", is_json)

    return reset


def _references(operations: Connected) -> click.Command:
    @click.command("references")
    @click.argument("model")
    @as_json
    def references(model: str, is_json: bool) -> None:
        """Tell what was accepted as the normal of MODEL when, why and by whom."""
        with operations() as found:
            found.services.require(model)
            acts = found.monitor.baselines.normals.all(model)
        lines = [_line(act) for act in acts]
        say(acts, "\n".join(lines) or f"{model} is compared with what its spec says.", is_json)

    return references


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _line(act: dict[str, Any]) -> str:
    window = (
        f"{act['start']:%Y-%m-%d %H:%M} to {act['end']:%Y-%m-%d %H:%M}" if act["action"] == "accept" else ""
    )
    return f"{act['at']:%Y-%m-%d %H:%M:%S}  {act['action']:<6}  {window}  {act['by']}  {act['reason']}"
