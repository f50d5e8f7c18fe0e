"""The OpenAPI 3.1 description of this service, made from its routes and specs, and a page for people."""

import re
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, render_template, request
from werkzeug.routing import Rule

from app import described
from app.answer_schemas import results
from app.auth import needs
from app.bodies import (
    infer_request,
    labelled_body,
    row_name,
    row_schema,
    rows_body,
    split_body,
    tensors_body,
)
from app.context import services
from app.repeating import MAX_KEY
from model.spec import Spec

blueprint = Blueprint("openapi", __name__)

# A place in a route, with or without a converter.
PLACE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
# By blueprint, in the order in which people want them.
TAGS = {
    "predict": "Predictions",
    "invocations": "Predictions in other protocols",
    "open_inference": "Predictions in other protocols",
    "labels": "Labels",
    "lifecycle": "Models",
    "retraining": "Training",
    "rollouts": "Shadows and canaries",
    "reports": "Drift, quality and alerts",
    "subjects": "People",
    "health": "Health",
    "metrics": "Metrics",
}
# By blueprint: what its routes take, where that is rows.
BODIES = {"predict": rows_body, "invocations": split_body, "open_inference": tensors_body}


@blueprint.get("/openapi.json")
@needs("predict")
def openapi() -> Response:
    """Return the description as JSON."""
    return Response(msgspec.json.encode(document(current_app)), content_type="application/json")


@blueprint.get("/docs")
@needs("predict")
def docs() -> str:
    """Show the description to people."""
    return render_template("docs.html", document=document(current_app), root=request.host_url.rstrip("/"))


def document(app: Flask) -> dict[str, Any]:
    """Return the whole OpenAPI document."""
    paths: dict[str, Any] = {}
    for rule in app.url_map.iter_rules():
        if _tag(rule) is not None:
            path = PLACE.sub(r"{\1}", rule.rule)
            paths.setdefault(path, {}).update(_operations(app, rule))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Vigía", "version": "1", "description": "Predictions, their log, and their drift."},
        "tags": [{"name": name} for name in dict.fromkeys(TAGS.values())],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY},
        "security": [{"apiKey": []}, {"bearer": []}],
    }


_SECURITY = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def _tag(rule: Rule) -> str | None:
    """Return the group of a route; pages for people have none."""
    return TAGS.get(rule.endpoint.partition(".")[0])


def _operations(app: Flask, rule: Rule) -> dict[str, Any]:
    methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    return {method.lower(): _operation(app, rule, method) for method in methods}


def _operation(app: Flask, rule: Rule, method: str) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    asked = described.of_endpoint(described.QUERIES, rule.endpoint, method) if _may_ask(rule, method) else {}
    found: dict[str, Any] = {
        "tags": [_tag(rule)],
        "summary": (view.__doc__ or "").strip().splitlines()[0].replace("``", "`"),
        "operationId": f"{method.lower()} {rule.rule}",
        "parameters": [
            *map(_parameter, sorted(rule.arguments)),
            *_query(asked or {}),
            *_headers(rule, method),
        ],
        "responses": described.responses(
            rule.endpoint, method, is_about_one=bool(rule.arguments), is_asking=bool(asked)
        ),
    }
    if rule.endpoint.startswith("health.") or rule.endpoint == "invocations.ready":
        found["security"] = []
    if (body := _body(rule, method)) is not None:
        found["requestBody"] = body
    return found


def _may_ask(rule: Rule, method: str) -> bool:
    return rule.endpoint != "retraining.job" and (
        method != "GET" or not rule.endpoint.startswith("invocations")
    )


def _headers(rule: Rule, method: str) -> list[dict[str, Any]]:
    if rule.endpoint.startswith("retraining.") and method != "GET":
        words = "`respond-async` answers at once, `wait=5` after so many seconds at the latest, with a job."
        schema: dict[str, Any] = {"type": "string", "pattern": r"^(respond-async|wait=[0-9]{1,2})$"}
        return [{"name": "Prefer", "in": "header", "description": words, "schema": schema}]
    if method != "POST" or not (_tag(rule) or "").startswith(("Predictions", "Labels")):
        return []
    words = "The same key and body within 24 hours get the same answer, and are logged once."
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
    return [{"name": "Idempotency-Key", "in": "header", "description": words, "schema": schema}]


def _parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if name == "model":
        schema = {"type": "string", "enum": sorted(services().names())}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(asked: dict[str, tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "description": words, "schema": schema}
        for name, (words, schema) in asked.items()
    ]


def _body(rule: Rule, method: str) -> dict[str, Any] | None:
    """Return what a route takes: rows of models, something else in JSON, or nothing."""
    kind = rule.endpoint.partition(".")[0]
    if method not in ("POST", "PUT") or rule.endpoint in described.NO_BODIES:
        return None
    if kind == "retraining":
        return labelled_body(_specs_of(rule)) if method == "POST" else None
    if kind in BODIES:
        specs = _specs_of(rule)
        return BODIES[kind](specs) if specs else {"content": {"application/json": {"schema": {}}}}
    return _other_body(rule.endpoint)


def _other_body(endpoint: str) -> dict[str, Any]:
    schema, example = described.BODIES[endpoint]
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": endpoint not in described.OPTIONAL_BODIES, "content": content}


def _specs_of(rule: Rule) -> dict[str, Spec]:
    """Return the live models whose rows a route takes."""
    live = {name: served.loaded.spec for name, served in sorted(services().serving.live().items())}
    if "model" in rule.arguments:
        return live
    aliased = (
        name for name, spec in services().specs.items() if rule.rule in (*spec.aliases, *spec.retrain_aliases)
    )
    name = next(aliased, services().settings.default_model)
    return {name: live[name]} if name in live else {}


def _schemas() -> dict[str, Any]:
    fault = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
        "required": ["pointer", "code", "detail"],
    }
    texts = {name: {"type": "string"} for name in ("type", "title", "detail", "instance", "code", "error")}
    rows = {
        row_name(name): {k: v for k, v in row_schema(served.loaded.spec).items() if k != "$schema"}
        for name, served in sorted(services().serving.live().items())
    }
    return {
        **rows,
        **results(),
        "InferRequest": infer_request(),
        "Problem": {
            "type": "object",
            "properties": {
                **texts,
                "status": {"type": "integer"},
                "request_id": {"type": ["string", "null"]},
                "errors": {"type": "array", "items": fault},
            },
            "required": ["type", "title", "status", "detail", "request_id"],
        },
    }
