"""The pages for people as an OpenAPI document, for made-up requests: what they take and may answer."""

from typing import Any

from tests.running import Service

Body = dict[str, Any]

TEXT: Body = {"type": "string"}
STATUSES = ("200", "302", "303", "400", "401", "403", "404", "409", "413", "415", "422", "429")
# What any of the pages reads from the address; each gets all, as nothing may come of the wrong ones.
QUERY = (
    "window", "end", "from", "to", "against", "against_from", "against_to", "segment", "feature", "metric",
    "id", "after", "version", "subject", "warnings", "lang", "next", "said", "failed", "limit", "at",
)  # fmt: skip
READ = (
    "/", "/docs", "/openapi.json", "/login", "/dashboard", "/dashboard/alerts",
    *(f"/dashboard/{{model}}{rest}" for rest in (
        "", "/drift", "/quality", "/alerts", "/versions", "/try", "/predictions", "/predictions.csv",
        "/predictions/{id}",
    )),
)  # fmt: skip
FORM = dict.fromkeys(("csrf_token", "key", "next", "reason", "label", "version", "hours", "promote"), TEXT)
SENT = (
    "/login", "/logout",
    *(f"/dashboard/{{model}}{rest}" for rest in (
        "/promote", "/rollback", "/retrain", "/check", "/predictions/{id}/label", "/alerts/{id}/acknowledge",
        "/alerts/{id}/silence",
    )),
)  # fmt: skip


def document(service: Service) -> Body:
    """Return the document, for the models that a service has."""
    _, found = service.get("/models", **{"X-API-Key": "admin-key-of-the-fuzzer"})
    models = [one["name"] for one in found["models"]]
    paths: dict[str, Body] = {}
    for path in READ:
        query = [{"name": name, "in": "query", "schema": TEXT} for name in QUERY]
        paths[path] = {"get": _operation(path, models, query)}
    for path in SENT:
        content = {"application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": FORM}}}
        paths.setdefault(path, {})["post"] = {
            **_operation(path, models, []),
            "requestBody": {"content": content},
        }
    return {"openapi": "3.1.0", "info": {"title": "Pages", "version": "1"}, "paths": paths}


def _operation(path: str, models: list[str], query: list[Body]) -> Body:
    places = {"{model}": {"enum": models}, "{id}": {**TEXT, "minLength": 1}}
    named = [
        {"name": place.strip("{}"), "in": "path", "required": True, "schema": schema}
        for place, schema in places.items()
        if place in path
    ]
    return {"parameters": [*named, *query], "responses": {s: {"description": s} for s in STATUSES}}
