"""What predictions answer, for the OpenAPI document."""

from typing import Any, get_args

from model.additive import Scale

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
_MAYBE: Schema = {"type": ["object", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_LABEL: Schema = {"type": ["string", "number", "boolean", "null"]}


def results() -> dict[str, Schema]:
    """Return the schemas of answers by name."""
    return {
        "Predictions": _object(
            {
                "model": _TEXT,
                "version": _TEXT,
                "request_id": _TEXT,
                "predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}},
            }
        ),
        "Answer": _answer(),
        "Invocations": _object({"predictions": {"type": "array"}}),
        "InferResponse": _infer_response(),
        **_documents(),
        **_deeds(),
        **_states(),
    }


def _documents() -> dict[str, Schema]:
    """Return the schemas of what is shown: models, reports, alerts, the log."""
    of_model = {"model": _TEXT}
    reports = {**of_model, "latest": _MAYBE, "reports": _OBJECTS}
    return {
        "Models": _object({"models": _OBJECTS}),
        "Model": _object({"name": _TEXT, "task": _TEXT, "features": _TEXTS, "version": _TEXT_OR_NULL}),
        "Schema": _object({"type": _TEXT, "properties": {"type": "object"}, "required": _TEXTS}),
        "Versions": _object({**of_model, "versions": _OBJECTS}),
        "History": _object(of_model, {"history": _OBJECTS, "at": _TEXT, "champion": _MAYBE}),
        "Reports": _object(reports),
        "Report": _object({**of_model, "verdict": _TEXT, "n_rows": _COUNT, "features": _OBJECTS}),
        "Alerts": _object({**of_model, "alerts": _OBJECTS}),
        "Alert": _object(of_model),
        "LoggedPrediction": _object({"prediction_id": _TEXT, **of_model, "version": _TEXT, "at": _TEXT}),
        "Shadow": _object({**reports, "shadow": _MAYBE}),
        "Canary": _object({**of_model, "canary": _MAYBE, "rows": {"type": "object"}}),
        "Person": _object(
            {"subject": _TEXT, "predictions": _OBJECTS, "versions": {"type": "array"}, "hold": _MAYBE}
        ),
    }


def _deeds() -> dict[str, Schema]:
    """Return the schemas of what was done."""
    return {
        "LabelsTaken": _object({"labels": _COUNT, "waiting": _COUNT}),
        "Entry": _object({"model": _TEXT, "version": _TEXT, "action": _TEXT, "at": _TEXT, "by": _TEXT}),
        "Trained": _object({"job": _TEXT, "model": _TEXT, "is_promoted": {"type": "boolean"}}),
        "JobBegun": _object({"job": _TEXT, "url": _TEXT, "state": _TEXT}),
        "Job": _object({"id": _TEXT, "model": _TEXT, "kind": _TEXT, "state": _TEXT}),
        "ShadowBegun": _object({"model": _TEXT}),
        "ShadowEnded": _object({"model": _TEXT, "ended": _MAYBE}),
        "Erased": _object({"erased_at": _TEXT, "n_predictions": _COUNT, "n_labels": _COUNT}),
        "Held": _object({"reason": _TEXT, "by": _TEXT, "at": _TEXT, "n_predictions": _COUNT}),
        "Hold": _object({"subject": _TEXT, "hold": _MAYBE}),
        "Released": _object({"hold": {"type": "null"}}),
    }


def _states() -> dict[str, Schema]:
    """Return the schemas of how the service and its models are."""
    ready = {"ready": {"type": "boolean"}}
    counts = {name: {"type": "integer"} for name in ("answered", "stored", "spooled", "difference")}
    return {
        "Alive": _object({"status": _TEXT, "live": {"type": "boolean"}}),
        "Readiness": _object({"status": _TEXT, **ready, "reasons": _TEXTS, "log": _object(counts)}),
        "Server": _object({"name": _TEXT, "version": _TEXT, "extensions": _TEXTS}),
        "Metadata": _object(
            {"name": _TEXT, "versions": _TEXTS, "platform": _TEXT, "inputs": _OBJECTS, "outputs": _OBJECTS}
        ),
        "ModelReady": _object({"name": _TEXT, "version": _TEXT, **ready}),
    }


def _object(properties: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
    }


def _answer() -> Schema:
    warning = _object({"code": _TEXT, "feature": _TEXT, "detail": _TEXT})
    always = {
        "prediction_id": {"type": "string", "format": "uuid"},
        "prediction": _LABEL,
        "warnings": {"type": "array", "items": warning},
    }
    classes = {
        "class": _TEXT,
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    }
    asked_for = {
        "interval": _object({"low": {"type": "number"}, "high": {"type": "number"}}),
        "set": {"type": "array", "items": _TEXT},
        "explanation": _explanation(),
    }
    return _object(always, classes | asked_for)


def _explanation() -> Schema:
    return _object(
        {
            "scale": {"enum": list(get_args(Scale))},
            "base": {"type": "number"},
            "score": {"type": "number"},
            "contributions": {"type": "object", "additionalProperties": {"type": "number"}},
            "method": {"enum": ["exact", "additive", "sampled"]},
            "sampling_error": {"type": "number"},
        }
    )


def _infer_response() -> Schema:
    tensor = _object(
        {"name": _TEXT, "datatype": _TEXT, "shape": {"type": "array", "items": {"type": "integer"}}},
        {"data": {"type": "array"}, "parameters": {"type": "object"}},
    )
    return _object(
        {"model_name": _TEXT, "model_version": _TEXT, "outputs": {"type": "array", "items": tensor}},
        {"id": _TEXT, "parameters": {"type": "object"}},
    )
