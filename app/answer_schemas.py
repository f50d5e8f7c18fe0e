"""What predictions answer, for the OpenAPI document."""

from typing import Any, get_args

from model.additive import Scale

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
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
