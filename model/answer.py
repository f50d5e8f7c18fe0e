"""Scores to answers: what one version says about each row, in the words of its spec."""

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.columns import RowWarning, range_text
from model.spec import Feature, Label, Spec

Scores = NDArray[np.float64]


class ClassAnswer(msgspec.Struct):
    """The answer to one row of a classification."""

    prediction_id: str
    prediction: Label
    class_name: str = msgspec.field(name="class")
    probability: float
    probabilities: dict[str, float]
    warnings: list[RowWarning]


class ValueAnswer(msgspec.Struct):
    """The answer to one row of a regression; ``prediction`` is null where the model gave no finite number."""

    prediction_id: str
    prediction: float | None
    warnings: list[RowWarning]


Answer = ClassAnswer | ValueAnswer


@dataclass(frozen=True, slots=True)
class Judge:
    """Turns scores into answers for one version.

    ``threshold`` is the probability from which on the positive of two classes is answered.
    """

    spec: Spec
    threshold: float = 0.5

    def answers(self, scores: Scores, ids: list[str], warnings: list[list[RowWarning]]) -> list[Answer]:
        """Return one answer a row.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_classes) or (n_rows,)
            Probabilities in the order of the spec's classes, or predicted values.
        ids, warnings : lists of length n_rows
            Prediction ids, and what is odd about the inputs.
        """
        if self.spec.task == "regression":
            return self._values(scores, ids, warnings)
        return self._classes(scores, ids, warnings)

    def chosen(self, probabilities: Scores) -> NDArray[np.intp]:
        """Return for each row the position of the class that is answered, shape (n_rows,)."""
        positive = self.spec.positive_index
        if positive is None:
            return np.asarray(probabilities.argmax(axis=1), dtype=np.intp)
        is_positive = probabilities[:, positive] >= self.threshold
        return np.where(is_positive, np.intp(positive), np.intp(1 - positive))

    def _classes(self, scores: Scores, ids: list[str], warnings: list[list[RowWarning]]) -> list[Answer]:
        labels, names = self.spec.labels, self.spec.class_names
        positive = self.spec.positive_index
        rows = zip(ids, self.chosen(scores).tolist(), scores.tolist(), warnings, strict=True)
        return [
            ClassAnswer(
                prediction_id,
                labels[index],
                names[index],
                row[index if positive is None else positive],
                dict(zip(names, row, strict=True)),
                row_warnings,
            )
            for prediction_id, index, row, row_warnings in rows
        ]

    def _values(self, scores: Scores, ids: list[str], warnings: list[list[RowWarning]]) -> list[Answer]:
        rows = zip(ids, scores.tolist(), warnings, strict=True)
        return [self._value(prediction_id, value, found) for prediction_id, value, found in rows]

    def _value(self, prediction_id: str, value: float, warnings: list[RowWarning]) -> ValueAnswer:
        target = self.spec.target
        if not math.isfinite(value):
            odd = RowWarning("not_finite", target.name, "The model gave no finite number.")
            return ValueAnswer(prediction_id, None, [*warnings, odd])
        if (target.min is not None and value < target.min) or (target.max is not None and value > target.max):
            seen = range_text(Feature(type="number", min=target.min, max=target.max))
            odd = RowWarning(
                "implausible", target.name, f"{value:g} is outside of what training saw, {seen}."
            )
            return ValueAnswer(prediction_id, value, [*warnings, odd])
        return ValueAnswer(prediction_id, value, warnings)
