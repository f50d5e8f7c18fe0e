"""Drift reports, quality reports and alerts as JSON, and a check on demand."""

from datetime import timedelta
from typing import Annotated

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from app.auth import needs
from app.context import requester, services
from app.lifecycle import as_json, read
from utils.errors import Fault, InvalidRowsError, NotFoundError
from utils.time import now

blueprint = Blueprint("reports", __name__)

MAX_LIMIT = 1_000


@blueprint.get("/models/<model>/drift")
@needs("admin")
def drift(model: str) -> Response:
    """Return the latest drift report and earlier ones (``?limit=``, newest first)."""
    services().require(model)
    reports = services().drift_reports.list(model, limit=limit())
    return as_json({"model": model, "latest": reports[0] if reports else None, "reports": reports})


@blueprint.get("/models/<model>/quality")
@needs("admin")
def quality(model: str) -> Response:
    """Return the latest quality report and earlier ones (``?limit=``, newest first)."""
    services().require(model)
    reports = services().quality_reports.list(model, limit=limit())
    return as_json({"model": model, "latest": reports[0] if reports else None, "reports": reports})


@blueprint.get("/models/<model>/alerts")
@needs("admin")
def alerts(model: str) -> Response:
    """Return open and past alerts, newest first."""
    services().require(model)
    return as_json({"model": model, "alerts": services().alerts.list(model)[: limit()]})


class Silence(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a silencing."""

    hours: Annotated[float, Meta(gt=0, le=24 * 90)] = 24.0


@blueprint.post("/models/<model>/alerts/<alert_id>/acknowledge")
@needs("admin")
def acknowledge(model: str, alert_id: str) -> Response:
    """Say that somebody looks after an alert: no more reminders of it."""
    _require_alert(model, alert_id)
    return as_json(services().alerts.acknowledge(alert_id, requester(), now()))


@blueprint.post("/models/<model>/alerts/<alert_id>/silence")
@needs("admin")
def silence(model: str, alert_id: str) -> Response:
    """Have no reminders of an alert for some ``hours`` (24)."""
    _require_alert(model, alert_id)
    until = now() + timedelta(hours=read(Silence).hours)
    return as_json(services().alerts.silence(alert_id, until, requester()))


def _require_alert(model: str, alert_id: str) -> None:
    found = services().alerts.get(alert_id)
    if found is None or found["model"] != model:
        raise NotFoundError(f"{model} has no alert of this id.")


@blueprint.post("/models/<model>/monitor")
@needs("admin")
def monitor(model: str) -> Response:
    """Check this model for drift now; answers the report."""
    services().serving.champion(model)  # without one there is nothing to compare with
    return as_json(services().run_check(model))


@blueprint.get("/predictions/<prediction_id>")
@needs("admin")
def prediction(prediction_id: str) -> Response:
    """Return one logged prediction, with its label where it has one."""
    found = services().predictions.get(prediction_id)
    if found is None:
        raise NotFoundError("No prediction has this id. One that was just answered is stored within seconds.")
    label = services().labels.get(prediction_id)
    known = {} if label is None else {"label": label["label"], "labelled_at": label["at"]}
    return as_json({"prediction_id": found.pop("_id"), **found, **known})


def limit() -> int:
    """Return ``?limit=`` of this request. Raises InvalidRowsError."""
    text = request.args.get("limit", "20")
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        detail = f"{text[:20]!r} is not an integer from 1 to {MAX_LIMIT}."
        raise InvalidRowsError(f"?limit= {detail}", [Fault("?limit", "type", detail)])
    return int(text)
