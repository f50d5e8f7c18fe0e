"""What the OpenAPI document says of each endpoint beyond its route: parameters, bodies, answers and statuses.

Plain data and what puts it together; knows neither requests nor models.
"""

from http import HTTPStatus
from typing import Any

Body = dict[str, Any]

_TEXT: Body = {"type": "string"}
_LABEL = {"prediction_id": "0198c5d2-7c1e-7000-8000-000000000000", "label": 1}
_VERSION: Body = {"type": ["string", "integer"]}
_EXPLAIN = ("How much each feature moved the score", {"type": "boolean"})
_LIMIT = ("How many at most", {"type": "integer", "minimum": 1, "maximum": 1_000})
_PROMOTE = ("Whether a new version goes live", {"enum": ["if_better", "always", "never"]})

# By endpoint or blueprint: what the query may ask.
QUERIES: dict[str, dict[str, tuple[str, Body]]] = {
    "predict": {"explain": _EXPLAIN},
    "invocations.invocations": {
        "explain": ("With details: how much each feature moved the score", {"type": "boolean"}),
        "model": ("Which model; else the default one", _TEXT),
        "version": ("Which version; else the champion", _TEXT),
        "details": ("Whole answers instead of plain predictions", {"type": "boolean"}),
    },
    "lifecycle.history": {"at": ("Who was live at this instant", {"type": "string", "format": "date-time"})},
    "reports.drift": {"limit": _LIMIT},
    "reports.quality": {"limit": _LIMIT},
    "reports.alerts": {"limit": _LIMIT},
    "rollouts.shadow": {"limit": _LIMIT},
    "retraining": {"promote": _PROMOTE},
}


def _object(properties: Body, *required: str) -> Body:
    return {"type": "object", "properties": properties, "required": list(required)}


def _strict(properties: Body, *required: str) -> Body:
    return {**_object(properties, *required), "additionalProperties": False}


_LABELS = _object({"prediction_id": {**_TEXT, "minLength": 1}, "label": {}}, "prediction_id", "label")
_MOVE = _strict({"version": _VERSION, "reason": _TEXT})
# By endpoint: what takes something else than rows, with an example.
BODIES: dict[str, tuple[Body, Any]] = {
    "labels.labels": ({"anyOf": [_LABELS, {"type": "array", "items": _LABELS, "minItems": 1}]}, [_LABEL]),
    "lifecycle.promote": (
        _strict({"version": _VERSION, "reason": _TEXT}, "version"),
        {"version": "2", "reason": "better on this week's labels"},
    ),
    "lifecycle.rollback": (_MOVE, {"reason": "too many false alarms"}),
    "reports.silence": (
        _strict({"hours": {"type": "number", "exclusiveMinimum": 0, "maximum": 2160}}),
        {"hours": 24},
    ),
    "rollouts.begin_shadow": (
        _strict(
            {"version": _VERSION, "since": {"type": ["string", "null"], "pattern": r"^\d{1,4}[hdw]$"}},
            "version",
        ),
        {"version": "2"},
    ),
    "rollouts.begin_canary": (
        _strict(
            {"version": _VERSION, "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}},
            "version",
            "share",
        ),
        {"version": "2", "share": 0.1},
    ),
    "subjects.hold": (
        _strict({"reason": {**_TEXT, "minLength": 1}}, "reason"),
        {"reason": "a complaint is open"},
    ),
}
# What these take may be left out.
OPTIONAL_BODIES = ("lifecycle.rollback", "reports.silence")
NO_BODIES = ("reports.monitor", "reports.acknowledge", "retraining.run_pipeline")

# By endpoint, or blueprint and method: the name of the schema of the answer.
RESULTS = {
    "POST predict": "Predictions",
    "POST invocations": "Invocations",
    "POST open_inference": "InferResponse",
    "POST labels": "LabelsTaken",
    "POST retraining": "Trained",
    "PUT retraining": "Trained",
    "retraining.job": "Job",
    "lifecycle.all_models": "Models",
    "lifecycle.one_model": "Model",
    "lifecycle.schema": "Schema",
    "lifecycle.versions": "Versions",
    "lifecycle.history": "History",
    "lifecycle.promote": "Entry",
    "lifecycle.rollback": "Entry",
    "reports.drift": "Reports",
    "reports.quality": "Reports",
    "reports.alerts": "Alerts",
    "reports.acknowledge": "Alert",
    "reports.silence": "Alert",
    "reports.monitor": "Report",
    "reports.prediction": "LoggedPrediction",
    "rollouts.shadow": "Shadow",
    "rollouts.begin_shadow": "ShadowBegun",
    "rollouts.end_shadow": "ShadowEnded",
    "GET rollouts": "Canary",
    "PUT rollouts": "Canary",
    "DELETE rollouts": "Canary",
    "subjects.export": "Person",
    "subjects.erase": "Erased",
    "subjects.hold": "Held",
    "subjects.held": "Hold",
    "subjects.release": "Released",
    "open_inference.server": "Server",
    "open_inference.metadata": "Metadata",
    "open_inference.model_ready": "ModelReady",
    "health.alive": "Alive",
    "health.ready": "Readiness",
    "invocations.ready": "Readiness",
}
TEXT_RESULTS = {"metrics.metrics": ("text/plain", "application/openmetrics-text")}

REQUEST_ID = {
    "X-Request-ID": {"description": "The id of the request, as in the log", "required": True, "schema": _TEXT}
}
RETRY_AFTER = {
    "Retry-After": {"description": "Seconds", "required": True, "schema": {"type": "integer", "minimum": 0}}
}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
# Where the answer says what another route can be asked for.
_NEWEST = {"model": "$request.path.model", "version": "$response.body#/versions/0/version"}
_OF_MODEL = {"model": "$request.path.model"}
LINKS: dict[str, Body] = {
    "POST predict": {
        "logged": {
            "operationId": "get /predictions/<prediction_id>",
            "parameters": {"prediction_id": "$response.body#/predictions/0/prediction_id"},
        },
    },
    "lifecycle.versions": {
        "predict": {
            "operationId": "post /models/<model>/versions/<version>/predict",
            "parameters": _NEWEST,
        },
        "infer": {"operationId": "post /v2/models/<model>/versions/<version>/infer", "parameters": _NEWEST},
        "promote": {
            "operationId": "post /models/<model>/promote",
            "parameters": _OF_MODEL,
            "requestBody": {"version": "$response.body#/versions/0/version"},
        },
        "canary": {
            "operationId": "put /models/<model>/canary",
            "parameters": _OF_MODEL,
            "requestBody": {"version": "$response.body#/versions/0/version", "share": 0.1},
        },
    },
    "reports.alerts": {
        "acknowledge": {
            "operationId": "post /models/<model>/alerts/<alert_id>/acknowledge",
            "parameters": {**_OF_MODEL, "alert_id": "$response.body#/alerts/0/id"},
        },
    },
}
JOB_LINK = {
    "job": {"operationId": "get /jobs/<job_id>", "parameters": {"job_id": "$response.body#/job"}},
}


def of_endpoint(table: dict[str, Any], endpoint: str, method: str) -> Any:
    """Return what a table has for an endpoint, for its blueprint and method, or for its blueprint."""
    blueprint = endpoint.partition(".")[0]
    keys = (endpoint, f"{method} {blueprint}", blueprint)
    return next((table[key] for key in keys if key in table), None)


def responses(endpoint: str, method: str, *, is_about_one: bool, is_asking: bool) -> Body:
    """Return all answers of an endpoint by status.

    Parameters
    ----------
    is_about_one : bool
        Whether its path names something that may not be there.
    is_asking : bool
        Whether its query can be wrong.
    """
    found = {"200": _fine(endpoint, method)}
    if endpoint.startswith("health.") or endpoint == "invocations.ready":
        return found | ({} if endpoint == "health.alive" else {"503": _fine(endpoint, method)})
    if endpoint.startswith("retraining.") and method != "GET":
        found["202"] = _answer("JobBegun", "Under way", JOB_LINK)
    statuses = [400, 401, 403, 429, 503]
    statuses += (
        [404] if is_about_one or endpoint.startswith(("predict.", "invocations.", "retraining.")) else []
    )
    statuses += [] if method == "GET" else [409, 413, 415, 422]
    statuses += [422] if is_asking else []
    return found | {str(status): _problem(status) for status in sorted(set(statuses))}


def _problem(status: int) -> Body:
    headers = REQUEST_ID | (RETRY_AFTER if status in (429, 503) else {})
    return {"description": HTTPStatus(status).phrase, "headers": headers, "content": PROBLEM}


def _fine(endpoint: str, method: str) -> Body:
    if kinds := TEXT_RESULTS.get(endpoint):
        content = {kind: {"schema": _TEXT} for kind in kinds}
        return {"description": "Text", "headers": REQUEST_ID, "content": content}
    name = of_endpoint(RESULTS, endpoint, method)
    words = "One answer a row" if name in ("Predictions", "Invocations", "InferResponse") else "Fine"
    answer = _answer(name, words, of_endpoint(LINKS, endpoint, method))
    if name == "InferResponse":
        answer["content"]["application/octet-stream"] = {
            "schema": {"type": "string", "description": "JSON, with raw tensor data behind it."}
        }
    return answer


def _answer(name: str, words: str, links: Body | None = None) -> Body:
    schema = {"$ref": f"#/components/schemas/{name}"}
    found = {"description": words, "headers": REQUEST_ID, "content": {"application/json": {"schema": schema}}}
    return found | ({"links": links} if links else {})
