"""The OpenAPI 3.1 description of this service, made from its routes and specs, and a page for people."""

from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, render_template, request
from werkzeug.routing import Rule

from app.auth import needs
from app.context import services
from app.repeating import MAX_KEY
from model.columns import describe
from model.spec import Feature, Spec

blueprint = Blueprint("openapi", __name__)

JSON_TYPES = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "category": "string",
    "date": "string",
}
PROBLEM = {
    "description": "A problem",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


# By blueprint, in the order in which people want them.
TAGS = {
    "predict": "Predictions",
    "labels": "Labels",
    "lifecycle": "Models",
    "retraining": "Training",
    "rollouts": "Shadows and canaries",
    "reports": "Drift, quality and alerts",
    "health": "Health",
}


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


def row_schema(spec: Spec) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one row of a model."""
    properties = {name: _property(feature) for name, feature in spec.features.items()}
    kept = {
        name: {"description": "Kept with the log, not scored."} for name in (spec.id, spec.subject) if name
    }
    ignored = {name: {"description": "Accepted and not used."} for name in spec.ignored}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.name,
        "description": spec.description,
        "type": "object",
        "properties": {**ignored, **kept, **properties},
        "required": [name for name, feature in spec.features.items() if not feature.missing],
        "additionalProperties": not spec.strict,
        "examples": [example_row(spec)],
    }


def _property(feature: Feature) -> dict[str, Any]:
    kind: Any = JSON_TYPES[feature.type]
    words = feature.description or describe(feature).capitalize()
    found: dict[str, Any] = {
        "type": [kind, "null"] if feature.missing else kind,
        "description": f"{words} ({feature.unit})" if feature.unit else words,
    }
    if feature.type == "date" and feature.format is None:
        found["format"] = "date"
    if feature.type in ("number", "integer"):
        found |= {k: v for k, v in (("minimum", feature.min), ("maximum", feature.max)) if v is not None}
    # Other categories are answered, with a warning, so they are examples and no enum.
    if feature.categories:
        found["examples"] = list(feature.categories[:20])
    if feature.example is not None:
        found["examples"] = [feature.example]
    return found


def example_row(spec: Spec) -> dict[str, Any]:
    """Return a typical row: medians and most frequent categories of training."""
    return {name: feature.example for name, feature in spec.features.items() if feature.example is not None}


def document(app: Flask) -> dict[str, Any]:
    """Return the whole OpenAPI document."""
    paths: dict[str, Any] = {}
    for rule in app.url_map.iter_rules():
        if _tag(rule) is not None:
            path = rule.rule.replace("<", "{").replace(">", "}")
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
    found: dict[str, Any] = {
        "tags": [_tag(rule)],
        "summary": (view.__doc__ or "").strip().splitlines()[0].replace("``", "`"),
        "operationId": f"{method.lower()} {rule.rule}",
        "parameters": [*map(_parameter, sorted(rule.arguments)), *_headers(rule, method)],
        "responses": {"200": {"description": "Fine"}, "default": PROBLEM},
    }
    if method in ("POST", "PUT"):
        found["requestBody"] = _body(rule)
    return found


def _headers(rule: Rule, method: str) -> list[dict[str, Any]]:
    if method != "POST" or _tag(rule) not in ("Predictions", "Labels"):
        return []
    words = "The same key and body within 24 hours get the same answer, and are logged once."
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
    return [{"name": "Idempotency-Key", "in": "header", "description": words, "schema": schema}]


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _body(rule: Rule) -> dict[str, Any]:
    model = _model_of(rule)
    live = services().serving.live().get(model) if model else None
    if live is None:
        return {"content": {"application/json": {"schema": {}}}}
    spec = live.loaded.spec
    schema = {key: value for key, value in row_schema(spec).items() if key != "$schema"}
    rows = {"oneOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}
    return {"required": True, "content": {"application/json": {"schema": rows, "example": example_row(spec)}}}


def _model_of(rule: Rule) -> str | None:
    """Return the model whose rows a route takes, or None where it takes something else."""
    if rule.rule in ("/predict", "/v1/predict"):
        return services().settings.default_model
    return next((name for name, spec in services().specs.items() if rule.rule in spec.aliases), None)


def _schemas() -> dict[str, Any]:
    fault = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
        "required": ["pointer", "code", "detail"],
    }
    texts = {name: {"type": "string"} for name in ("type", "title", "detail", "instance", "code", "error")}
    return {
        "Problem": {
            "type": "object",
            "properties": {
                **texts,
                "status": {"type": "integer"},
                "request_id": {"type": ["string", "null"]},
                "errors": {"type": "array", "items": fault},
            },
            "required": ["type", "title", "status", "detail", "request_id"],
        }
    }
