"""Nodes of the graph, and the dictionary of words whose content is known only at the end."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

ML = "ai.onnx.ml"

Floats = NDArray[np.float64]


def make_node(
    op: str, inputs: Sequence[str], outputs: Sequence[str], domain: str, attributes: dict[str, Any]
) -> onnx.NodeProto:
    """Return a node; arrays among the attributes become tensors."""
    plain = {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in attributes.items()
    }
    return helper.make_node(op, list(inputs), list(outputs), domain=domain, **plain)


class Dictionary:
    """A LabelEncoder whose words are known only when all steps are compiled."""

    def __init__(self, tensor: str, output: str) -> None:
        self.tensor = tensor
        self.output = output
        self.words: dict[str, int] = {}

    def code(self, word: str) -> int:
        """Return the number of a word, from 1 up; 0 is kept for words that nobody asked for."""
        return self.words.setdefault(word, len(self.words) + 1)

    def learn(self, words: Iterable[str]) -> None:
        """Give each word a number."""
        for word in words:
            self.code(word)

    def node(self) -> onnx.NodeProto:
        """Return the node that turns texts into these numbers."""
        attributes = {
            "keys_tensor": np.asarray(list(self.words) or [""], dtype=object),
            "values_tensor": np.asarray(list(self.words.values()) or [0], dtype=np.int64),
            "default_tensor": np.asarray([0], dtype=np.int64),
        }
        return make_node("LabelEncoder", [self.tensor], [self.output], ML, attributes)


def _n_codes(dictionaries: Sequence[Dictionary]) -> int:
    return 1 + max(len(dictionary.words) for dictionary in dictionaries)


def offsets(dictionaries: Sequence[Dictionary]) -> NDArray[np.int64]:
    """Return where each column's part of the table that ``number_of_code`` returns begins."""
    return (np.arange(len(dictionaries), dtype=np.int64) * _n_codes(dictionaries)).reshape(1, -1)


def number_of_code(
    dictionaries: Sequence[Dictionary], values: Sequence[dict[str, float]], default: Sequence[float]
) -> Floats:
    """Return one long table, column after column: the number that each code stands for."""
    numbers = np.repeat(np.asarray(default, dtype=np.float64)[:, None], _n_codes(dictionaries), axis=1)
    for row, dictionary, known in zip(numbers, dictionaries, values, strict=True):
        for word, number in known.items():
            row[dictionary.code(word)] = number
    return numbers.ravel()
