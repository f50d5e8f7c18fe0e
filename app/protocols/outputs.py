"""Answers as tensors of the Open Inference Protocol: one output a member of an answer."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from app.protocols.tensors import BYTES, InferRequest, to_raw
from model.answer import Answer, Interval
from model.spec import Label, Spec
from utils.errors import BadRequestError

BINARY_OUTPUT, BINARY, BINARY_SIZE = "binary_data_output", "binary_data", "binary_data_size"


class Output(NamedTuple):
    """One output: its datatype, values a row (None: one, shape [n]), and where they come from."""

    datatype: str
    width: int | None
    value: Callable[[Any], Any]


# Ends of intervals, NaN where there is none; sets as JSON, since they differ in length.
CERTAINTY = {
    "regression": {"interval": Output("FP64", 2, lambda a: _ends(a.interval))},
    "classification": {"set": Output(BYTES, None, lambda a: msgspec.json.encode(a.class_set).decode())},
}


def outputs_of(spec: Spec) -> dict[str, Output]:
    """Return the outputs of a model by name."""
    found = {
        "prediction": Output(_datatype(spec), None, lambda a: a.prediction),
        "prediction_id": Output(BYTES, None, lambda a: a.prediction_id),
        "warnings": Output(BYTES, None, lambda a: msgspec.json.encode(a.warnings).decode()),
    }
    if spec.task == "classification":
        found["class"] = Output(BYTES, None, lambda a: a.class_name)
        found["probability"] = Output("FP64", None, lambda a: a.probability)
        width = len(spec.labels)
        found["probabilities"] = Output("FP64", width, lambda a: list(a.probabilities.values()))
    if spec.intervals is not None:
        found |= CERTAINTY[spec.task]
    return found


def described(spec: Spec) -> list[dict[str, Any]]:
    """Return the outputs of a model as its metadata name them."""
    return [
        {
            "name": name,
            "datatype": output.datatype,
            "shape": [-1] if output.width is None else [-1, output.width],
        }
        for name, output in outputs_of(spec).items()
    ]


def _ends(interval: Interval | None) -> list[float | None]:
    return [None, None] if interval is None else [interval.low, interval.high]


def _datatype(spec: Spec) -> str:
    """Return the datatype of predictions: that of all labels, or of values."""
    if spec.task == "regression":
        return "FP64"
    kinds: set[type[Label]] = {type(label) for label in spec.labels}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    return "FP64" if kinds <= {int, float} else BYTES


class Outputs:
    """The outputs that one request asks for. Raises BadRequestError for one that there is not."""

    def __init__(self, asked: InferRequest, spec: Spec) -> None:
        known = outputs_of(spec)
        names = [output.name for output in asked.outputs] or list(known)
        for name in names:
            if name not in known:
                raise BadRequestError(f"There is no output {name!r}. There are: {', '.join(known)}.")
        is_all_binary = bool(asked.parameters.get(BINARY_OUTPUT))
        binary = {output.name: output.parameters.get(BINARY, is_all_binary) for output in asked.outputs}
        self._outputs = {name: known[name] for name in names}
        self._binary = {name: bool(binary.get(name, is_all_binary)) for name in names}

    def body(self, head: dict[str, Any], answers: Sequence[Answer]) -> tuple[bytes, int | None]:
        """Return the body, and how long its JSON is if raw data follows."""
        tensors, raw = [], []
        for name, output in self._outputs.items():
            tensor, values = _tensor(name, output, answers)
            if self._binary[name]:
                raw.append(to_raw(output.datatype, values))
                tensor["parameters"] = {BINARY_SIZE: len(raw[-1])}
            else:
                tensor["data"] = values
            tensors.append(tensor)
        content = msgspec.json.encode(head | {"outputs": tensors})
        return b"".join([content, *raw]), len(content) if raw else None


def _tensor(name: str, output: Output, answers: Sequence[Answer]) -> tuple[dict[str, Any], list[Any]]:
    values = [output.value(answer) for answer in answers]
    if output.datatype == BYTES:
        values = [str(value) for value in values]
    shape = [len(values)]
    if output.width is not None:
        shape, values = [len(values), output.width], [value for row in values for value in row]
    return {"name": name, "datatype": output.datatype, "shape": shape}, values
