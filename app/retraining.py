"""Retraining over HTTP: rows or a request in, both sides' metrics out; long ones answer with a job."""

import re
from typing import Any

from flask import Blueprint, Flask, Response, request

from app.auth import needs
from app.context import requester, services, services_of
from app.lifecycle import as_json
from app.predict import is_json, media_type
from app.problems import problem
from mlops.services import Services
from mlops.trainings import PROMOTE, Kind, Promote
from model.labelled import LabelledSchema
from utils.errors import Fault, InvalidRowsError, NotFoundError, UnsupportedTypeError
from utils.settings import Settings

blueprint = Blueprint("retraining", __name__)

# Routers give up after 30 s.
WAIT_S = 22.0


def init_app(app: Flask) -> None:
    """Add the routes, with the aliases that the specs name."""
    for model, spec in services_of(app).specs.items():
        for alias in spec.retrain_aliases:
            _add(app, "POST", alias, _retrain_alias(model))
    for alias, model in builds(services_of(app)).items():
        _add(app, "PUT", alias, _build_alias(model))
    app.register_blueprint(blueprint)


def builds(services: Services) -> dict[str, str]:
    """Return who builds at which alias; who chose a default model means that one by ``/run-pipeline``."""
    default = services.settings.default_model
    aliases = {alias: model for model, spec in services.specs.items() for alias in spec.run_pipeline_aliases}
    if default != Settings().default_model:
        aliases["/run-pipeline"] = default
    return {"/run-pipeline": default} | aliases


def _add(app: Flask, method: str, alias: str, view: Any) -> None:
    endpoint = f"{method} {alias}".replace(".", " ")
    app.add_url_rule(alias, f"{blueprint.name}.{endpoint}", needs("admin")(view), methods=[method])


def _retrain_alias(model: str) -> Any:
    def retrain_alias() -> Response:
        """Train a challenger on the bundled rows plus these, and promote it by the spec's rule."""
        return answer(model, "retrain")

    return retrain_alias


def _build_alias(model: str) -> Any:
    def run_pipeline_alias() -> Response:
        """Train a challenger on the bundled rows plus all labelled predictions."""
        return answer(model, "run-pipeline")

    return run_pipeline_alias


@blueprint.post("/models/<model>/retrain")
@needs("admin")
def retrain(model: str) -> Response:
    """Train a challenger on the bundled rows plus these, and promote it by the spec's rule."""
    return answer(model, "retrain")


@blueprint.put("/models/<model>/run-pipeline")
@needs("admin")
def run_pipeline(model: str) -> Response:
    """Train a challenger on the bundled rows plus all labelled predictions."""
    return answer(model, "run-pipeline")


@blueprint.get("/jobs/<job_id>")
@needs("admin")
def job(job_id: str) -> Response:
    """Tell how far a training is, and how it ended."""
    return as_json(services().trainings.get(job_id))


def answer(model: str, kind: Kind) -> Response:
    """Start a training and answer with its outcome, or with its job where it takes longer."""
    spec = services().spec_of(model)
    if model not in services().specs or spec is None:
        services().require(model)
        raise NotFoundError(f"There is no spec file of {model!r}, so it cannot be trained here.")
    promote = _promote()
    rows = _rows(LabelledSchema(spec, services().settings.max_rows)) if kind == "retrain" else []
    job_id = services().trainings.start(model, kind, promote, requester(), rows)
    return _told(services().trainings.wait(job_id, _patience_s()))


def _rows(schema: LabelledSchema) -> list[dict[str, Any]]:
    kind = media_type()
    if is_json(kind):
        return schema.from_json(request.get_data(cache=False))
    if kind == "text/csv":
        return schema.from_csv(request.get_data(cache=False))
    raise UnsupportedTypeError(f"{kind} cannot be read. Send application/json or text/csv.")


def _promote() -> Promote:
    text = request.args.get("promote", PROMOTE[0])
    if text not in PROMOTE:
        detail = f"{text[:20]!r} is none of {', '.join(PROMOTE)}."
        raise InvalidRowsError(f"?promote= {detail}", [Fault("?promote", "type", detail)])
    return text


def _patience_s() -> float:
    """Return how long to wait for the outcome, by ``Prefer`` (RFC 7240): respond-async, wait=seconds."""
    prefer = request.headers.get("Prefer", "").lower()
    found = re.search(r"\bwait=(\d{1,4})\b", prefer)
    if found:
        return min(float(found[1]), WAIT_S)
    return 0.0 if "respond-async" in prefer else WAIT_S


def _told(job: dict[str, Any]) -> Response:
    url = f"/jobs/{job['id']}"
    if job["state"] == "finished":
        return as_json({"job": job["id"], **job["result"]})
    if job["state"] == "failed":
        return _failure(job)
    told = as_json({"job": job["id"], "url": url, "state": job["state"], "progress": job["progress"]}, 202)
    told.headers["Location"] = url
    told.headers["Retry-After"] = "5"
    return told


def _failure(job: dict[str, Any]) -> Response:
    found = dict(job["problem"])
    head = [found.pop(name) for name in ("status", "title", "detail")]
    return problem(*head, job=job["id"], **found)
