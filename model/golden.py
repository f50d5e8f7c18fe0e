"""Golden rows: inputs, edge cases among them, with what the pipeline answered when it was trained.

They travel with the artifact and are replayed at each load, so a model that answers something else on this
machine or with these packages is found before it serves. ``model.compiling.golden_rows`` makes them; this
module only stores, reads and replays, and stays light.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.predictor import CompiledPredictor, Predictor
from utils.errors import IntegrityError

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
Flags = NDArray[np.bool_]

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Golden:
    """Rows and expected scores.

    Attributes
    ----------
    numbers : ndarray of shape (n_rows, n_numbers), float64
        NaN is missing.
    texts : ndarray of shape (n_rows, n_texts), object, or None
        "" is missing.
    expected : ndarray of shape (n_rows, n_classes) or (n_rows,)
        Probabilities, or values of a regression.
    n_usual : int
        So many of the first rows are training rows as they were; the others are edge cases.
    positive : int, default=1
        Two classes: position of the positive one.
    threshold : float, default=0.5
        Two classes: probability of the positive one from which on it is predicted.
    """

    numbers: Floats
    texts: Texts | None
    expected: Floats
    n_usual: int = 0
    positive: int = 1
    threshold: float = 0.5

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.numbers)

    def to_bytes(self) -> bytes:
        """Return strict JSON, with null for NaN."""
        document = {
            "numbers": [
                [None if value != value else value for value in row] for row in self.numbers.tolist()
            ],
            "n_numbers": self.numbers.shape[1],
            "texts": None if self.texts is None else self.texts.tolist(),
            "expected": self.expected.tolist(),
            "n_usual": self.n_usual,
            "positive": self.positive,
            "threshold": self.threshold,
        }
        return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Golden":
        """Read what ``to_bytes`` wrote.

        Raises
        ------
        IntegrityError
            If these are not golden rows.
        """
        try:
            return cls._from_document(json.loads(data))
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"golden rows cannot be read: {error}") from error

    @classmethod
    def _from_document(cls, document: dict[str, Any]) -> "Golden":
        numbers = np.array(document["numbers"], dtype=np.float64).reshape(-1, document["n_numbers"])
        texts = None if document["texts"] is None else np.array(document["texts"], dtype=object)
        expected = np.array(document["expected"], dtype=np.float64)
        if len(expected) != len(numbers):
            raise ValueError("rows and scores differ in number")
        options = {name: document[name] for name in ("n_usual", "positive", "threshold")}
        return cls(numbers, texts, expected, **options)


@dataclass(frozen=True)
class Replay:
    """How a predictor did on golden rows.

    Attributes
    ----------
    is_ok : bool
        All classes equal and no difference above the tolerance.
    largest_difference : float
        Of probabilities, or relative for regression.
    row : int or None
        Where that difference is.
    n_rows, n_undecided, n_usual_undecided : int
        All rows, those in which a compiled graph leaves the answer to the pipeline, and how many of the usual
        rows are among these.
    n_other_classes : int
        Rows with another predicted class.
    """

    is_ok: bool
    largest_difference: float
    row: int | None
    n_rows: int
    n_undecided: int
    n_usual_undecided: int
    n_other_classes: int


def replay(predictor: Predictor, golden: Golden, tolerance: float = TOLERANCE) -> Replay:
    """Score golden rows and compare with what is expected.

    A compiled predictor is asked without its fallback, so a replay never loads the pipeline.
    """
    ask = predictor.own_scores if isinstance(predictor, CompiledPredictor) else predictor.scores
    scores = ask(golden.numbers, golden.texts)
    if scores.shape != golden.expected.shape:
        return Replay(False, float("inf"), None, golden.n_rows, 0, 0, golden.n_rows)
    is_open = np.asarray(np.isnan(scores).reshape(len(scores), -1).all(axis=1))
    differences = np.where(is_open, 0.0, _differences(scores, golden.expected))
    is_other = np.logical_and(~is_open, _is_other_class(scores, golden))
    return _summary(differences, is_other, is_open, golden.n_usual, tolerance)


def _summary(differences: Floats, is_other: Flags, is_open: Flags, n_usual: int, tolerance: float) -> Replay:
    largest = float(differences.max(initial=0.0))
    return Replay(
        is_ok=bool(largest <= tolerance and not is_other.any()),
        largest_difference=largest,
        row=int(np.argmax(np.where(is_other, np.inf, differences))) if len(differences) else None,
        n_rows=len(differences),
        n_undecided=int(is_open.sum()),
        n_usual_undecided=int(is_open[:n_usual].sum()),
        n_other_classes=int(is_other.sum()),
    )


def _differences(scores: Floats, expected: Floats) -> Floats:
    """Return a difference a row, infinite where only one of the two is a number."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(scores - expected)
    gaps[np.isnan(gaps)] = np.inf
    if gaps.ndim == 2:
        return np.asarray(gaps.max(axis=1))
    # A value next to 0 among large ones is 0 but for rounding, so the scale has a floor.
    floor = 1e-6 * float(np.abs(expected).mean()) if len(expected) else 0.0
    return np.asarray(gaps / np.maximum(np.maximum(np.abs(expected), floor), np.finfo(float).tiny))


def _is_other_class(scores: Floats, golden: Golden) -> Flags:
    if scores.ndim == 1:
        return np.zeros(len(scores), dtype=bool)
    if scores.shape[1] == 2:
        positive = golden.positive
        is_positive = scores[:, positive] >= golden.threshold
        return np.asarray(is_positive != (golden.expected[:, positive] >= golden.threshold))
    return np.asarray(scores.argmax(axis=1) != golden.expected.argmax(axis=1))
