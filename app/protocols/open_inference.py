"""Open Inference Protocol V2, as KServe, Triton, MLServer and their clients speak it.

An input a feature, of shape [n] or [n, 1]; or one input of shape [n, k] with the features in the order of the
spec. Outputs are the members of an answer, each a tensor. Health is in ``app.health``.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from app.auth import needs
from app.bodies import DATATYPES
from app.context import services
from app.lean import JsonAnswer
from app.predict import answered, content
from app.protocols import outputs
from app.protocols.given import Given, by_column
from app.protocols.outputs import BINARY_OUTPUT, Outputs
from app.protocols.tensors import Tensor, read
from mlops.serving import Answered, Served
from model.columns import from_text
from model.schema import Batch, Schema
from model.spec import Feature, Spec
from utils.errors import BadRequestError, Fault, InvalidRowsError

blueprint = Blueprint("open_inference", __name__, url_prefix="/v2")

SIZE_HEADER = "Inference-Header-Content-Length"
EXTENSIONS = ["binary_tensor_data"]


@blueprint.get("")
@needs("predict")
def server() -> Response:
    """Describe this server."""
    return _json({"name": "vigia", "version": "2", "extensions": EXTENSIONS})


@blueprint.get("/models/<model>")
@blueprint.get("/models/<model>/versions/<version>")
@needs("predict")
def metadata(model: str, version: str | None = None) -> Response:
    """Describe a model's inputs and outputs as tensors."""
    served = _served(model, version)
    spec = served.loaded.spec
    return _json(
        {
            "name": model,
            "versions": [served.loaded.version],
            "platform": "onnx_onnxv1" if served.loaded.predictor.served_by == "compiled" else "sklearn",
            "inputs": [_input(name, feature) for name, feature in spec.features.items()],
            "outputs": outputs.described(spec),
        }
    )


@blueprint.get("/models/<model>/ready")
@blueprint.get("/models/<model>/versions/<version>/ready")
@needs("predict")
def model_ready(model: str, version: str | None = None) -> Response:
    """Say that a model can answer; 404 or 503 where it cannot."""
    return _json({"name": model, "version": _served(model, version).loaded.version, "ready": True})


@blueprint.post("/models/<model>/infer")
@blueprint.post("/models/<model>/versions/<version>/infer")
@needs("predict")
def infer(model: str, version: str | None = None) -> Response:
    """Predict from tensors, in JSON or with binary data behind it."""
    exchange = _Exchange()
    return exchange.answer(answered(model, version, exchange.batch))


class _Exchange:
    """One request for inference: what was asked, until it is answered."""

    def batch(self, schema: Schema) -> Batch:
        """Read and check the tensors of this request's body."""
        self._asked, tensors = read(content(), _json_size())
        self._outputs = Outputs(self._asked, schema.spec)
        return given(tensors, schema.spec).checked(schema)

    def answer(self, found: Answered) -> Response:
        """Answer with the tensors that were asked for."""
        head: dict[str, Any] = {"model_name": found.model, "model_version": found.version}
        if self._asked.id is not None:
            head["id"] = self._asked.id
        parameters = {k: v for k, v in self._asked.parameters.items() if k != BINARY_OUTPUT}
        if parameters:
            head["parameters"] = parameters
        return _answer(*self._outputs.body(head, found.answers), found.version)


def _answer(content: bytes, json_size: int | None, version: str) -> Response:
    if json_size is None:
        return JsonAnswer(content, ("X-Model-Version", version))
    answer = Response(content, content_type="application/octet-stream")
    answer.headers[SIZE_HEADER] = str(json_size)
    answer.headers["X-Model-Version"] = version
    return answer


def _json_size() -> int | None:
    """Return how many bytes of the body are JSON, where raw data follows. Raises BadRequestError."""
    text = request.headers.get(SIZE_HEADER)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal():
        raise BadRequestError(f"{SIZE_HEADER} is a number of bytes.")
    return int(text)


def given(tensors: Sequence[Tensor], spec: Spec) -> Given:
    """Return the rows of some tensors: one a feature, or one with all features in the order of the spec.

    Raises InvalidRowsError for other shapes.
    """
    only = tensors[0]
    if len(tensors) == 1 and only.name not in spec.features and len(only.shape) == 2:
        return _matrix(only, spec)
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names):
        raise _wrong("#/inputs", "Two inputs have the same name.")
    columns = {}
    for position, tensor in enumerate(tensors):
        if len(tensor.shape) != 1 and tensor.shape[1:] != [1]:
            detail = f"{tensor.name!r} has the shape {tensor.shape}; a feature has [n] or [n, 1]."
            raise _wrong(f"#/inputs/{position}/shape", detail)
        columns[tensor.name] = _readable(tensor.name, tensor.values, spec)
    return _placed(by_column(columns, "#/inputs"), names)


def _placed(rows: Given, names: Sequence[str]) -> Given:
    positions = {name: position for position, name in enumerate(names)}

    def place(row: int, name: str | None) -> str:
        return "#/inputs" if name not in positions else f"#/inputs/{positions[name]}/data/{row}"

    return Given(rows.rows, place)


def _matrix(tensor: Tensor, spec: Spec) -> Given:
    names, width = list(spec.features), tensor.shape[1]
    if width != len(names):
        detail = (
            f"{tensor.name!r} has {width} columns; {spec.name} has {len(names)} features: {', '.join(names)}."
        )
        raise _wrong("#/inputs/0/shape", detail)
    columns = {name: _readable(name, tensor.values[i::width], spec) for i, name in enumerate(names)}
    positions = {name: position for position, name in enumerate(names)}

    def place(row: int, name: str | None) -> str:
        start = row * width
        return f"#/inputs/0/data/{start if name is None else start + positions[name]}"

    return Given(by_column(columns, "#/inputs").rows, place)


def _readable(name: str, values: list[Any], spec: Spec) -> list[Any]:
    """Read texts as those of a CSV: with datatype BYTES, clients send numbers as texts, too."""
    feature = spec.features.get(name)
    if feature is None or not any(isinstance(value, str) for value in values):
        return values
    missing = spec.data.missing_values
    return [from_text(value, feature, missing) if isinstance(value, str) else value for value in values]


def _wrong(pointer: str, detail: str) -> InvalidRowsError:
    return InvalidRowsError(detail, [Fault(pointer, "shape", detail)])


def _served(model: str, version: str | None) -> Served:
    serving = services().serving
    return serving.champion(model) if version is None else serving.version(model, version)


def _input(name: str, feature: Feature) -> dict[str, Any]:
    # Integers with gaps come as numbers, as no integer stands for "missing".
    kind = "FP64" if feature.type == "integer" and feature.missing else DATATYPES[feature.type]
    return {"name": name, "datatype": kind, "shape": [-1, 1]}


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), content_type="application/json")
