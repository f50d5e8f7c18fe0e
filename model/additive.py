"""A part of a version whose score is a sum of trees (and of columns times weights) on some scale.

It lets explanations be exact for any number of features: ``encoder`` is a graph that makes the prepared
columns of a row, the trees are those of the pipeline, and each column knows the one feature it is made of.
``model.compiling.adding`` makes it at training; nothing here is trusted before it gave what the predictor
gives for the very rows at hand. Light: numpy and ONNX Runtime.
"""

import io
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.predictor import CompiledPredictor, Floats, Texts
from model.tree_walks import Ints, Trees, Walk

Flags = NDArray[np.bool_]
Scale = Literal["log_odds", "log_ratio", "probability", "value", "log_value", "log1p_value"]

TOLERANCE = 1e-6
_TREES = "trees_"


@dataclass(frozen=True)
class Additive:
    """The sum.

    Attributes
    ----------
    scale : str
        On what the score is a sum. ``probability``, ``log_odds`` (of the second of two classes) or
        ``log_ratio`` (more classes: the logarithm of a probability less the mean of these logarithms);
        ``value``, ``log_value`` or ``log1p_value`` (logarithm of the value, or of the value and 1).
    encoder : bytes
        ONNX graph from the inputs of a predictor to the prepared columns.
    players : ndarray of int, shape (n_columns,)
        Position of the feature of each column among numbers, then texts.
    base : ndarray of float, shape (n_outputs,)
    weights : ndarray of float, shape (n_columns, n_outputs)
        What a column adds in proportion to its value.
    trees : Trees
    """

    scale: Scale
    encoder: bytes
    players: Ints
    base: Floats
    weights: Floats
    trees: Trees

    def to_bytes(self) -> bytes:
        """Return the part."""
        trees = {f"{_TREES}{field.name}": getattr(self.trees, field.name) for field in fields(Trees)}
        encoder = np.frombuffer(self.encoder, dtype=np.uint8)
        own = {"players": self.players, "base": self.base, "weights": self.weights}
        arrays: dict[str, Any] = {"scale": np.array(self.scale), "encoder": encoder, **own, **trees}
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Additive":
        """Read what ``to_bytes`` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            trees = Trees(**{field.name: file[f"{_TREES}{field.name}"] for field in fields(Trees)})
            scale: Any = str(file["scale"])
            encoder = file["encoder"].tobytes()
            return cls(scale, encoder, file["players"], file["base"], file["weights"], trees)

    def raw(self, columns: Floats) -> Floats:
        """Return the sums of rows of prepared columns, shape (n_rows, n_outputs)."""
        is_used = self.weights.any(axis=1)
        linear = columns[:, is_used] @ self.weights[is_used]
        return np.asarray(self.base + linear + self.trees.totals(columns))

    def scores(self, raw: Floats) -> Floats:
        """Return the scores of a predictor that belong to sums."""
        with np.errstate(over="ignore"):  # what is too large for a double differs from any score
            if self.scale == "log_odds":
                positive = 1 / (1 + np.exp(-raw[:, 0]))
                return np.column_stack([1 - positive, positive])
            if self.scale == "log_ratio":
                shares = np.exp(raw - raw.max(axis=1, keepdims=True))
                return np.asarray(shares / shares.sum(axis=1, keepdims=True))
            if self.scale == "probability":
                return raw
            if self.scale == "value":
                return np.asarray(raw[:, 0])
            return np.asarray(np.exp(raw[:, 0]) if self.scale == "log_value" else np.expm1(raw[:, 0]))

    def outputs(self, position: int | None) -> Floats:
        """Return how much each output counts for the class at ``position`` (None: a value)."""
        n_outputs = len(self.base)
        if n_outputs == 1:
            return np.array([-1.0 if position == 0 and self.scale == "log_odds" else 1.0])
        counts = np.zeros(n_outputs) if self.scale == "probability" else np.full(n_outputs, -1 / n_outputs)
        counts[position or 0] += 1.0
        return counts


class ExactContributions:
    """Contributions of rows against some background; safe to use from several threads at once.

    Parameters
    ----------
    additive : Additive
    n_players : int
        Features, numbers before texts.
    numbers, texts : ndarray
        The background rows, as a predictor gets them.
    scores : ndarray
        What the predictor gives for these.
    """

    def __init__(
        self, additive: Additive, n_players: int, numbers: Floats, texts: Texts | None, scores: Floats
    ) -> None:
        self._additive, self._n_players = additive, n_players
        self._encoder = CompiledPredictor(additive.encoder)
        self._numbers, self._texts = numbers, texts
        self._columns = self._encoder.own_scores(numbers, texts)
        self._raw = additive.raw(self._columns)
        self._is_right = self._is_same(self._raw, scores)

    @property
    def scale(self) -> Scale:
        """On what contributions add up."""
        return self._additive.scale

    def of(
        self, numbers: Floats, texts: Texts | None, score: Floats, position: int | None, deadline: float
    ) -> tuple[Floats, float, float] | None:
        """Return contributions (numbers before texts), base and score of one row.

        None where the sum is not what the predictor gives here, or ``deadline`` (monotonic) comes first.
        """
        columns = self._encoder.own_scores(numbers[None], None if texts is None else texts[None])
        raw = self._additive.raw(columns)
        if not (self._is_right and self._is_same(raw, score) and self._is_apart(columns, numbers, texts)):
            return None
        counts = self._additive.outputs(position)
        found = self._walk(columns[0], counts).contributions(deadline)
        if found is None:
            return None
        gaps = self._linear(columns[0], counts)
        found += np.bincount(self._additive.players, gaps, self._n_players)
        return found, float((self._raw @ counts).mean()), float(raw[0] @ counts)

    def _walk(self, own: Floats, counts: Floats) -> Walk:
        trees = self._additive.trees
        return Walk(trees, self._additive.players, self._n_players, own, self._columns, trees.value @ counts)

    def _linear(self, own: Floats, counts: Floats) -> Floats:
        weights = self._additive.weights @ counts
        return np.asarray(np.where(weights == 0, 0.0, weights * (own - self._columns.mean(axis=0))))

    def _is_same(self, raw: Floats, scores: Floats) -> bool:
        return bool(np.allclose(self._additive.scores(raw), scores, rtol=TOLERANCE, atol=TOLERANCE))

    def _is_apart(self, own: Floats, numbers: Floats, texts: Texts | None) -> bool:
        """Try with mixed rows whether each column still depends on its own feature alone."""
        width = len(numbers)
        is_own = np.random.default_rng(self._n_players).random((len(self._numbers), self._n_players)) < 0.5
        mixed = np.where(is_own[:, :width], numbers, self._numbers)
        words = None
        if texts is not None and self._texts is not None:
            words = np.where(is_own[:, width:], texts, self._texts)
        found = self._encoder.own_scores(mixed, words)
        expected = np.where(is_own[:, self._additive.players], own, self._columns)
        return bool(np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))
