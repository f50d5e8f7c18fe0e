"""Tensors of the Open Inference Protocol, to and from JSON and the binary tensor data extension.

Knows bytes, shapes and datatypes; nothing of models and routes. Numbers are little-endian and in row-major
order; each element of BYTES comes after its length in four bytes.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import math
import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from model.schema import parse_json
from utils.errors import BadRequestError, Fault, InvalidRowsError

DTYPES = {
    "BOOL": "?",
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
BYTES = "BYTES"
# As many as arrays have elsewhere; the product of more could take longer than the answer.
MAX_SIZES = 32


class InputTensor(msgspec.Struct):
    """One input as the client describes it."""

    name: str
    datatype: str
    shape: list[int]
    data: Any = None
    parameters: dict[str, Any] = {}


class WantedOutput(msgspec.Struct):
    """One output that the client asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """The JSON of a request."""

    inputs: list[InputTensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[WantedOutput] = []


class Tensor(msgspec.Struct):
    """Values of one input, flat: float, int, bool or str; None where a number is missing."""

    name: str
    shape: list[int]
    values: list[Any]


def read(body: bytes, json_size: int | None) -> tuple[InferRequest, list[Tensor]]:
    """Read a request.

    Parameters
    ----------
    body : bytes
        JSON, with raw tensor data behind it where ``json_size`` says how long the JSON is.

    Raises
    ------
    BadRequestError
        If it is not JSON, or the raw data is not as long as announced.
    InvalidRowsError
        If a tensor is not what it says it is.
    """
    asked = _request(body if json_size is None else body[:json_size])
    if not asked.inputs:
        raise _wrong("#/inputs", "At least one input is needed.")
    raw = memoryview(b"" if json_size is None else body[json_size:])
    tensors = []
    for position, given in enumerate(asked.inputs):
        tensor, raw = _tensor(given, raw, f"#/inputs/{position}")
        tensors.append(tensor)
    if len(raw):
        raise BadRequestError(f"{len(raw)} bytes of raw data belong to no input.")
    return asked, tensors


def _request(content: bytes) -> InferRequest:
    try:
        return msgspec.convert(parse_json(content), InferRequest)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        pointer = "#" + where.rstrip("`").replace("[", "/").replace("]", "").replace(".", "/")
        raise _wrong(pointer, f"{what}.") from None


def _wrong(pointer: str, detail: str, code: str = "shape") -> InvalidRowsError:
    return InvalidRowsError(detail, [Fault(pointer, code, detail)])


def _tensor(given: InputTensor, raw: memoryview, pointer: str) -> tuple[Tensor, memoryview]:
    if given.datatype not in DTYPES and given.datatype != BYTES:
        known = ", ".join((*DTYPES, BYTES))
        raise _wrong(f"{pointer}/datatype", f"{given.datatype!r} is none of {known}.", "type")
    if len(given.shape) > MAX_SIZES:
        raise _wrong(f"{pointer}/shape", f"A shape has {MAX_SIZES} sizes at most.")
    if any(size < 0 for size in given.shape):
        raise _wrong(f"{pointer}/shape", "A shape has no negative sizes.")
    size = given.parameters.get("binary_data_size")
    if size is None:
        values = _from_json(given, pointer)
    else:
        if not isinstance(size, int) or not 0 <= size <= len(raw):
            raise BadRequestError(f"{given.name!r} announces {size} bytes of raw data; {len(raw)} are there.")
        values, raw = _from_raw(given, raw[:size]), raw[size:]
    if len(values) != math.prod(given.shape):
        detail = f"{given.name!r} has {len(values)} values, which do not fill the shape {given.shape}."
        raise _wrong(pointer, detail)
    return Tensor(given.name, given.shape, values), raw


def _from_json(given: InputTensor, pointer: str) -> list[Any]:
    values = given.data
    if not isinstance(values, list):
        raise _wrong(f"{pointer}/data", f"{given.name!r} needs data: a list, flat or nested as its shape.")
    for _ in given.shape[1:]:
        if values and all(isinstance(value, list) for value in values):
            values = list(chain.from_iterable(values))
    return values


def _from_raw(given: InputTensor, raw: memoryview) -> list[Any]:
    if given.datatype == BYTES:
        return list(_texts(raw, given.name))
    dtype = np.dtype(DTYPES[given.datatype])
    if len(raw) % dtype.itemsize:
        raise BadRequestError(f"{given.name!r}: {len(raw)} bytes are no whole number of {given.datatype}.")
    values: list[Any] = np.frombuffer(raw, dtype).tolist()
    return [None if value != value else value for value in values] if dtype.kind == "f" else values


def _texts(raw: memoryview, name: str) -> Iterator[str]:
    position = 0
    while position < len(raw):
        end = position + 4 + int.from_bytes(raw[position : position + 4], "little")
        if end > len(raw) or position + 4 > len(raw):
            raise BadRequestError(f"{name!r}: a text is longer than the raw data.")
        try:
            yield bytes(raw[position + 4 : end]).decode()
        except UnicodeDecodeError:
            raise BadRequestError(f"{name!r}: a text is not UTF-8.") from None
        position = end


def to_raw(datatype: str, values: Sequence[Any]) -> bytes:
    """Return flat values as raw tensor data; None becomes NaN."""
    if datatype != BYTES:
        return np.array(values, dtype=DTYPES[datatype]).tobytes()
    parts = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)
