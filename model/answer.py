"""Scores to answers: what one version says about each row, in the words of its spec."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.columns import RowWarning, range_text
from model.conformal import Conformal, names_of
from model.explanation import Explanation
from model.spec import Feature, Label, Spec

Scores = NDArray[np.float64]
Warnings = Sequence[RowWarning]


class Interval(msgspec.Struct, frozen=True, gc=False):
    """Where the truth lies with the probability that the spec asks for."""

    low: float
    high: float


class ClassAnswer(msgspec.Struct, gc=False, omit_defaults=True):
    """The answer to one row of a classification; the last two only where they are asked for."""

    prediction_id: str
    prediction: Label
    class_name: str = msgspec.field(name="class")
    probability: float
    probabilities: dict[str, float]
    warnings: Warnings
    class_set: list[str] | None = msgspec.field(name="set", default=None)
    explanation: Explanation | None = None


class ValueAnswer(msgspec.Struct, gc=False, omit_defaults=True):
    """The answer to one row of a regression; ``prediction`` is null where the model gave no finite number.

    The last two only where they are asked for.
    """

    prediction_id: str
    prediction: float | None
    warnings: Warnings
    interval: Interval | None = None
    explanation: Explanation | None = None


Answer = ClassAnswer | ValueAnswer


class Judge:
    """Turns scores into answers for one version.

    ``threshold`` is the probability from which on the positive of two classes is answered; ``conformal``
    makes intervals or sets.
    """

    def __init__(self, spec: Spec, threshold: float = 0.5, conformal: Conformal | None = None) -> None:
        self.spec = spec
        self.threshold = threshold
        self.conformal = conformal
        self._labels = spec.labels
        self._names = spec.class_names
        self._positive = spec.positive_index

    def answers(self, scores: Scores, ids: list[str], warnings: Sequence[Warnings]) -> list[Answer]:
        """Return one answer a row.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_classes) or (n_rows,)
            Probabilities in the order of the spec's classes, or predicted values.
        ids, warnings : lists of length n_rows
            Prediction ids, and what is odd about the inputs.
        """
        found = self._plain(scores, ids, warnings)
        if self.conformal is not None:
            self._add_certainty(self.conformal, scores, found)
        return found

    def _plain(self, scores: Scores, ids: list[str], warnings: Sequence[Warnings]) -> list[Answer]:
        if self.spec.task == "regression":
            return self._values(scores, ids, warnings)
        if self._positive is not None:
            return self._two_classes(scores, ids, warnings, self._positive)
        return self._classes(scores, ids, warnings)

    def _add_certainty(self, conformal: Conformal, scores: Scores, answers: list[Answer]) -> None:
        if conformal.kind == "set":
            members = conformal.members(scores, self.chosen(scores)).tolist()
            for answer, is_member in zip(answers, members, strict=True):
                if isinstance(answer, ClassAnswer):
                    answer.class_set = names_of(is_member, self._names)
            return
        low, high = conformal.intervals(scores)
        for answer, *ends in zip(answers, low.tolist(), high.tolist(), strict=True):
            if isinstance(answer, ValueAnswer) and answer.prediction is not None:
                answer.interval = Interval(*ends)

    def chosen(self, probabilities: Scores) -> NDArray[np.intp]:
        """Return for each row the position of the class that is answered, shape (n_rows,)."""
        positive = self._positive
        if positive is None:
            return np.asarray(probabilities.argmax(axis=1), dtype=np.intp)
        is_positive = probabilities[:, positive] >= self.threshold
        return np.where(is_positive, np.intp(positive), np.intp(1 - positive))

    def _two_classes(
        self, scores: Scores, ids: list[str], warnings: Sequence[Warnings], positive: int
    ) -> list[Answer]:
        """Choose as ``chosen`` does; for a few rows numpy takes longer than all the rest."""
        first, second = self._names
        labels, names, threshold = self._labels, self._names, self.threshold
        answers: list[Answer] = []
        for prediction_id, row, row_warnings in zip(ids, scores.tolist(), warnings, strict=True):
            probability = row[positive]
            index = positive if probability >= threshold else 1 - positive
            both = {first: row[0], second: row[1]}
            answer = ClassAnswer(prediction_id, labels[index], names[index], probability, both, row_warnings)
            answers.append(answer)
        return answers

    def _classes(self, scores: Scores, ids: list[str], warnings: Sequence[Warnings]) -> list[Answer]:
        labels, names = self._labels, self._names
        rows = zip(ids, self.chosen(scores).tolist(), scores.tolist(), warnings, strict=True)
        return [
            ClassAnswer(
                prediction_id,
                labels[index],
                names[index],
                row[index],
                dict(zip(names, row, strict=True)),
                row_warnings,
            )
            for prediction_id, index, row, row_warnings in rows
        ]

    def _values(self, scores: Scores, ids: list[str], warnings: Sequence[Warnings]) -> list[Answer]:
        rows = zip(ids, scores.tolist(), warnings, strict=True)
        return [self._value(prediction_id, value, found) for prediction_id, value, found in rows]

    def _value(self, prediction_id: str, value: float, warnings: Warnings) -> ValueAnswer:
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
