"""Models and their versions: what is live, since when, why and with which metrics; promotion and rollback."""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, request

from app.auth import needs
from app.bodies import row_schema
from app.context import requester, services
from model.schema import parse_json
from utils.errors import Fault, InvalidRowsError

blueprint = Blueprint("lifecycle", __name__, url_prefix="/models")

T = TypeVar("T")


class Move(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a promotion or rollback."""

    version: str | int | None = None
    reason: str = ""


def as_json(body: Any, status: int = 200) -> Response:
    """Answer with strict JSON; instants become ISO 8601."""
    return Response(msgspec.json.encode(body), status, content_type="application/json")


@blueprint.get("")
@needs("predict")
def all_models() -> Response:
    """List the models with their live version."""
    return as_json({"models": [services().describe(name) for name in services().names()]})


@blueprint.get("/<model>")
@needs("predict")
def one_model(model: str) -> Response:
    """Describe a model's live version: metrics, threshold, which path scores and why."""
    return as_json(services().describe(model))


@blueprint.get("/<model>/schema")
@needs("predict")
def schema(model: str) -> Response:
    """Return the JSON Schema of one row."""
    return as_json(row_schema(services().serving.champion(model).loaded.spec))


@blueprint.get("/<model>/versions")
@needs("predict")
def versions(model: str) -> Response:
    """List a model's versions, newest first, with their metrics."""
    services().require(model)
    return as_json({"model": model, "versions": services().registry.versions(model)})


@blueprint.get("/<model>/history")
@needs("admin")
def history(model: str) -> Response:
    """Tell who was live when, why and by whom; ``?at=`` an instant: who was live then."""
    services().require(model)
    store = services().history
    if text := request.args.get("at"):
        return as_json({"model": model, "at": text, "champion": store.at(model, instant(text, "at"))})
    return as_json({"model": model, "history": store.all(model)})


@blueprint.post("/<model>/promote")
@needs("admin")
def promote(model: str) -> Response:
    """Make a version the champion."""
    services().require(model)
    move = read(Move)
    if move.version is None:
        raise InvalidRowsError("Which version?", [Fault("#/version", "missing", "The version to promote.")])
    entry = services().registry.promote(model, str(move.version), reason=move.reason, by=requester())
    return as_json(entry)


@blueprint.post("/<model>/rollback")
@needs("admin")
def rollback(model: str) -> Response:
    """Make an earlier version the champion again; the one before the present where none is named."""
    services().require(model)
    move = read(Move)
    version = None if move.version is None else str(move.version)
    entry = services().registry.rollback(model, version, reason=move.reason, by=requester())
    return as_json(entry)


def read(kind: type[T]) -> T:
    """Read this request's body as ``kind``; an empty body is all defaults."""
    body = request.get_data(cache=False)
    try:
        return msgspec.convert(parse_json(body) if body.strip() else {}, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        pointer = "#" + where.rstrip("`").replace(".", "/")
        raise InvalidRowsError(f"{what}.", [Fault(pointer, "type", f"{what}.")]) from None


def instant(text: str, name: str) -> datetime:
    """Read an ISO 8601 instant from a query parameter; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        detail = f"{text[:40]!r} is not an instant such as 2026-01-31T12:00:00Z."
        raise InvalidRowsError(f"?{name}= {detail}", [Fault(f"?{name}", "type", detail)]) from None
