"""Challengers beside their champion: shadows, which score the log, and canaries, which answer a share."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from app.auth import needs
from app.context import requester, services
from app.lifecycle import as_json, read
from app.reports import limit
from mlops import canaries, tasks
from utils.errors import ConflictError
from utils.time import now

blueprint = Blueprint("rollouts", __name__, url_prefix="/models")

REPLAY_TIMEOUT_S = 22.0


class ShadowOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that starts a shadow, or with ``since`` a replay of that time."""

    version: str | int
    since: Annotated[str, Meta(pattern=r"^\d{1,4}[hdw]$")] | None = None


class CanaryOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that starts a canary."""

    version: str | int
    share: Annotated[float, Meta(gt=0, le=1)]


@blueprint.get("/<model>/shadow")
@needs("admin")
def shadow(model: str) -> Response:
    """Return the running shadow, and what challengers said about logged rows (``?limit=``, newest first)."""
    services().require(model)
    reports = services().shadow_reports.list(model, limit=limit())
    running = services().rollouts.get("shadow", model)
    latest = reports[0] if reports else None
    return as_json({"model": model, "shadow": running, "latest": latest, "reports": reports})


@blueprint.post("/<model>/shadow")
@needs("admin")
def begin_shadow(model: str) -> Response:
    """Have a version score what comes in, by the clock; with ``since``, replay that time now."""
    services().require(model)
    order = read(ShadowOrder)
    version = str(order.version)
    if order.since is None:
        return as_json(start_shadow(model, version))
    _require_challenger(model, version)
    services().serving.champion(model)  # without one there is nothing to compare with
    options = ["--version", version, "--since", order.since, "--json"]
    return as_json(tasks.result_of("shadow", model, *options, timeout_s=REPLAY_TIMEOUT_S))


def start_shadow(model: str, version: str) -> dict[str, Any]:
    """Have a version score what comes in from now on; return the entry."""
    _require_challenger(model, version)
    return services().rollouts.begin("shadow", model, version, by=requester(), at=now())


def _require_challenger(model: str, version: str) -> None:
    services().registry.manifest(model, version)
    if version == services().registry.champion(model):
        raise ConflictError(f"{model} {version} is the champion: it cannot be its own shadow.")


@blueprint.delete("/<model>/shadow")
@needs("admin")
def end_shadow(model: str) -> Response:
    """End the running shadow."""
    services().require(model)
    return as_json({"model": model, "ended": services().rollouts.end("shadow", model)})


@blueprint.get("/<model>/canary")
@needs("admin")
def canary(model: str) -> Response:
    """Return the canary and how many rows each version has answered since it began."""
    return as_json(canaries.state(services(), model))


@blueprint.put("/<model>/canary")
@needs("admin")
def begin_canary(model: str) -> Response:
    """Have a version answer a share of the requests, chosen by a hash of their id."""
    services().require(model)
    order = read(CanaryOrder)
    return as_json(canaries.begin(services(), model, str(order.version), order.share, by=requester()))


@blueprint.delete("/<model>/canary")
@needs("admin")
def end_canary(model: str) -> Response:
    """Let the champion answer all requests again."""
    return as_json(canaries.end(services(), model))
