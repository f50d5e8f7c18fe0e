"""``python -m mlops shadow`` and ``canary``: challengers beside their champion, before they take over."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import click

from mlops.canaries import begin, end, state
from mlops.operations import Operations
from utils.terminal import as_json, say, user
from utils.time import now

Connect = Callable[[], AbstractContextManager[Operations]]

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """Read a time such as ``36h``, ``7d`` or ``2w``. Raises ValueError.

    >>> duration("7d").days
    7
    """
    found = re.fullmatch(r"(\d{1,4})([hdw])", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time such as 36h, 7d or 2w")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def shadow_command(operations: Connect) -> click.Command:
    """Return the command; ``operations`` connects to everything."""

    @click.command("shadow")
    @click.argument("model")
    @click.option("--version", help="The challenger.")
    @click.option("--since", type=duration, default="7d", help="How far back: 36h, 7d, 2w.")
    @click.option("--start", is_flag=True, help="Have it score what comes in, by the clock, until --stop.")
    @click.option("--stop", is_flag=True, help="End the running shadow.")
    @as_json
    def shadow(
        model: str, version: str | None, since: timedelta, start: bool, stop: bool, is_json: bool
    ) -> None:
        """Have a version of MODEL score what was logged, and compare it with the champion."""
        if version is None and not stop:
            raise click.UsageError("Which version? Say --version, or --stop.")
        with operations() as found:
            found.services.require(model)
            if stop:
                ended = found.services.rollouts.end("shadow", model)
                say({"ended": ended}, f"{model} has no shadow now.", is_json)
            elif start:
                entry = found.shadows.begin(model, str(version), by=user(), at=now())
                say(entry, f"{model} {version} scores what comes in, by the clock.", is_json)
            else:
                spec = found.services.specs[model]
                report = found.shadows.replay(spec, str(version), since, now())
                say(report, _text(report), is_json)

    return shadow


def canary_command(operations: Connect) -> click.Command:
    """Return the command; ``operations`` connects to everything."""

    @click.command("canary")
    @click.argument("model")
    @click.option("--version", help="The challenger.")
    @click.option("--share", type=click.FloatRange(0, 1, min_open=True), help="Of the requests, up to 1.")
    @click.option("--end", "is_end", is_flag=True, help="Let the champion answer all again.")
    @as_json
    def canary(model: str, version: str | None, share: float | None, is_end: bool, is_json: bool) -> None:
        """Have a version of MODEL answer a share of the requests; without options, show what it does."""
        if (version is None) != (share is None):
            raise click.UsageError("A canary needs both --version and --share.")
        with operations() as found:
            if is_end:
                told = end(found.services, model)
            elif version is not None and share is not None:
                told = begin(found.services, model, version, share, by=user())
            else:
                told = state(found.services, model)
        entry = told["canary"]
        text = f"{entry['version']} answers {entry['share']:.1%}" if entry else "the champion answers all"
        say(told, f"{model}: {text}. Rows by version: {told['rows'] or '-'}", is_json)

    return canary


def _text(report: Mapping[str, Any]) -> str:
    lines = [f"{report['model']}: {report['sentence']}"]
    for side, took in report["latency_ms"].items():
        lines += [f"  {side}: {took['p50']:.3g} ms a row, 99 % within {took['p99']:.3g} ms"] if took else []
    lines += [f"  refused by one of them: {report['n_refused']}"] if report["n_refused"] else []
    lines += [
        f"  {one['feature']} {one['segment']}: {one['agreement']:.1%} of {one['n_rows']} agree"
        for one in report["segments"][:5]
        if one["agreement"] < 1
    ]
    return "\n".join(lines)
