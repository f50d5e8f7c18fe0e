"""Drift reports, quality reports and alerts as JSON, and a check on demand."""

from flask import Blueprint, Response, request

from app.auth import needs
from app.context import services
from app.lifecycle import as_json
from utils.errors import Fault, InvalidRowsError, NotFoundError

blueprint = Blueprint("reports", __name__)

MAX_LIMIT = 1_000


@blueprint.get("/models/<model>/drift")
@needs("admin")
def drift(model: str) -> Response:
    """Return the latest drift report and earlier ones (``?limit=``, newest first)."""
    services().require(model)
    reports = services().drift_reports.list(model, limit=_limit())
    return as_json({"model": model, "latest": reports[0] if reports else None, "reports": reports})


@blueprint.get("/models/<model>/quality")
@needs("admin")
def quality(model: str) -> Response:
    """Return the latest quality report and earlier ones (``?limit=``, newest first)."""
    services().require(model)
    reports = services().quality_reports.list(model, limit=_limit())
    return as_json({"model": model, "latest": reports[0] if reports else None, "reports": reports})


@blueprint.get("/models/<model>/alerts")
@needs("admin")
def alerts(model: str) -> Response:
    """Return open and past alerts, newest first."""
    services().require(model)
    return as_json({"model": model, "alerts": services().alerts.list(model)[: _limit()]})


@blueprint.post("/models/<model>/monitor")
@needs("admin")
def monitor(model: str) -> Response:
    """Check this model for drift now; answers the report."""
    services().require(model)
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


def _limit() -> int:
    text = request.args.get("limit", "20")
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        detail = f"{text[:20]!r} is not an integer from 1 to {MAX_LIMIT}."
        raise InvalidRowsError(f"?limit= {detail}", [Fault("?limit", "type", detail)])
    return int(text)
