"""What the routes take in, for the OpenAPI document: schemas, and an example that works for each model.

Examples are typical rows: medians and most frequent categories of training.
"""

from collections.abc import Callable, Mapping
from typing import Any

from model.columns import describe
from model.labelled import MIN_ROWS
from model.spec import Feature, Spec

Body = dict[str, Any]

JSON_TYPES = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "category": "string",
    "date": "string",
}
DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES", "date": "BYTES"}


def row_schema(spec: Spec) -> Body:
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


def _property(feature: Feature) -> Body:
    kinds = [JSON_TYPES[feature.type], *(["string"] if feature.written else [])]
    kinds += ["null"] if feature.missing else []
    words = feature.description or describe(feature).capitalize()
    found: Body = {
        "type": kinds if len(kinds) > 1 else kinds[0],
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


def example_row(spec: Spec) -> Body:
    """Return a typical row."""
    return {name: feature.example for name, feature in spec.features.items() if feature.example is not None}


def example_split(spec: Spec) -> Body:
    """Return a typical row as MLflow's clients send it."""
    row = example_row(spec)
    return {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}


def example_tensors(spec: Spec) -> Body:
    """Return a typical row as tensors of the Open Inference Protocol."""
    datatypes = {name: DATATYPES[feature.type] for name, feature in spec.features.items()}
    tensors = [
        {"name": name, "datatype": datatypes[name], "shape": [1, 1], "data": [value]}
        for name, value in example_row(spec).items()
    ]
    return {"inputs": tensors}


def rows_body(specs: Mapping[str, Spec]) -> Body:
    """Return the body of a route that takes rows of one of some models."""
    references = [{"$ref": f"#/components/schemas/{row_name(name)}"} for name in specs]
    row: Body = references[0] if len(references) == 1 else {"anyOf": references}
    rows = {"type": "array", "items": row, "minItems": 1}
    wrapped = [
        {"type": "object", "properties": {name: {"anyOf": [row, rows]}}, "required": [name]}
        for name in ("data", "instances")
    ]
    found = json_body({"anyOf": [row, rows, *wrapped]}, specs, example_row)
    found["content"]["text/csv"] = {"schema": {"type": "string", "description": "With a header line."}}
    return found


def split_body(specs: Mapping[str, Spec]) -> Body:
    """Return the body of MLflow's and SageMaker's route."""
    forms = {
        "dataframe_split": {"type": "object", "required": ["columns", "data"]},
        "dataframe_records": {"type": "array", "items": {"type": "object"}},
        "instances": {"type": "array"},
        "inputs": {"type": ["object", "array"]},
    }
    one_of = [
        {"type": "object", "properties": {n: form}, "required": [n], "title": n} for n, form in forms.items()
    ]
    found = json_body({"oneOf": one_of}, specs, example_split)
    found["content"]["text/csv"] = {"schema": {"type": "string", "description": "With a header line."}}
    return found


def tensors_body(specs: Mapping[str, Spec]) -> Body:
    """Return the body of the Open Inference Protocol's route."""
    found = json_body({"$ref": "#/components/schemas/InferRequest"}, specs, example_tensors)
    found["content"]["application/octet-stream"] = {
        "schema": {"type": "string", "description": "JSON, with raw tensor data behind it."}
    }
    return found


def labelled_body(specs: Mapping[str, Spec]) -> Body:
    """Return the body of a route that learns from rows with their label."""
    row: Body = {"type": "object"}
    rows = {"type": "array", "items": row, "minItems": MIN_ROWS}
    wrapped = [
        {"type": "object", "properties": {name: rows}, "required": [name]} for name in ("data", "instances")
    ]
    found = json_body({"anyOf": [rows, *wrapped]}, specs, example_labelled)
    found["content"]["text/csv"] = {"schema": {"type": "string", "description": "With a header line."}}
    return found


def example_labelled(spec: Spec) -> list[Body]:
    """Return as many typical rows as are learnt from at least, with all labels in turn."""
    labels = list(spec.labels) if spec.task == "classification" else [1, 2]
    row = example_row(spec)
    return [{**row, spec.target.name: labels[i % len(labels)]} for i in range(MIN_ROWS)]


def json_body(schema: Body, specs: Mapping[str, Spec], example: Callable[[Spec], Any]) -> Body:
    """Return a JSON body with an example for each model: one, or several by name."""
    content: Body = {"schema": schema}
    examples = {name: {"summary": name, "value": example(spec)} for name, spec in specs.items()}
    if len(examples) == 1:
        content["example"] = next(iter(examples.values()))["value"]
    elif examples:
        content["examples"] = examples
    return {"required": True, "content": {"application/json": content}}


def row_name(model: str) -> str:
    """Return the name under which the schema of a model's rows stands among the components."""
    return f"Row_{model}"


def infer_request() -> Body:
    """Return the schema of a request of the Open Inference Protocol."""
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string", "examples": ["FP64", "INT64", "BOOL", "BYTES"]},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
    }
    output = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": "array", "items": output},
        },
    }
