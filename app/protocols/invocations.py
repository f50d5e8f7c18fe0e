"""``POST /invocations`` and ``GET /ping``: how MLflow's and SageMaker's clients score.

https://mlflow.org/docs/latest/genai/serving/custom-apps.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html describe the two.
"""

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from app.auth import needs
from app.context import services
from app.health import ready
from app.lean import JsonAnswer
from app.predict import answered, content, is_json, media_type, wants_explanation
from app.protocols.given import Given, by_column, by_row, object_of, table
from model.schema import Batch, Schema, parse_json
from utils.errors import BadRequestError, Fault, InvalidRowsError, UnsupportedTypeError

blueprint = Blueprint("invocations", __name__)

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
blueprint.add_url_rule("/ping", view_func=ready)


@blueprint.post("/invocations")
@needs("predict")
def invocations() -> Response:
    """Predict as MLflow's and SageMaker's servers do; ``?model=`` picks one, ``?details=true`` tells all."""
    model = request.args.get("model") or services().settings.default_model
    is_detailed = request.args.get("details", "").lower() in ("true", "1")
    is_explained = is_detailed and wants_explanation()
    found = answered(model, request.args.get("version"), _read, is_explained=is_explained)
    answers = found.answers if is_detailed else [answer.prediction for answer in found.answers]
    return JsonAnswer(msgspec.json.encode({"predictions": answers}), ("X-Model-Version", found.version))


def _read(schema: Schema) -> Batch:
    kind = media_type()
    if kind == "text/csv":
        return schema.from_csv(content())
    if not is_json(kind):
        raise UnsupportedTypeError(f"{kind} cannot be read. Send application/json or text/csv.")
    return given(parse_json(content()), schema).checked(schema)


def given(body: object, schema: Schema) -> Given:
    """Return the rows of a JSON body.

    Raises
    ------
    BadRequestError
        If it has none of the four forms, or more than one.
    InvalidRowsError
        If a form is not filled in as it should be.
    """
    found = object_of(body)
    present = [name for name in FORMATS if name in found]
    if len(present) != 1:
        raise BadRequestError(f"The body needs one of the members {', '.join(FORMATS)}.")
    name, value = present[0], found[present[0]]
    if name == "dataframe_split":
        return _split(value)
    if name == "dataframe_records":
        return by_row(_list(value, name), f"#/{name}")
    return _tensor(value, schema, f"#/{name}")


def _split(value: Any) -> Given:
    prefix = "#/dataframe_split"
    if not isinstance(value, dict) or not isinstance(value.get("columns"), list):
        detail = "dataframe_split is an object with columns (names) and data (a list of rows)."
        raise InvalidRowsError(detail, [Fault(prefix, "shape", detail)])
    names = [str(name) for name in value["columns"]]
    return table(names, _list(value.get("data"), "dataframe_split/data"), f"{prefix}/data")


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        detail = f"{name} is a list of rows."
        raise InvalidRowsError(detail, [Fault(f"#/{name}", "shape", detail)])
    return value


def _tensor(value: Any, schema: Schema, prefix: str) -> Given:
    """Read the forms of TensorFlow Serving: columns by name, objects, or lists in the order of the spec."""
    if isinstance(value, dict):
        columns = value.values()
        if any(isinstance(column, list) for column in columns):
            return by_column({name: _column(values) for name, values in value.items()}, prefix)
        return Given([value], lambda row, name: prefix if name is None else f"{prefix}/{name}")
    rows = _list(value, prefix.removeprefix("#/"))
    if rows and isinstance(rows[0], list):
        return table(schema.names, rows, prefix)
    return by_row(rows, prefix)


def _column(values: Any) -> list[Any]:
    """Return a column of shape [n] or [n, 1] as a list of n values."""
    if not isinstance(values, list):
        return [values]
    return [v[0] if isinstance(v, list) and len(v) == 1 else v for v in values]
