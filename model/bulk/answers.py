"""Scores to answers, column by column; ``model.answer.Judge`` decides, as for a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.answer import Interval, Judge
from model.bulk.cells import Flags, Floats
from model.bulk.checking import Checked
from model.columns import RowWarning
from model.conformal import Conformal, names_of
from model.novelty import Detector
from model.predictor import Predictor, UnscorableRowsError
from model.spec import Label
from utils.errors import Fault

Piece = tuple[int, int, Floats | Fault]


@dataclass(frozen=True)
class Sets:
    """Sets of classes: the distinct ones, and for each row the position of its own, shape (n_rows,)."""

    distinct: list[list[str]]
    codes: NDArray[np.intp]


@dataclass(frozen=True)
class Answers:
    """What a version says about some rows.

    Attributes
    ----------
    chosen : ndarray of shape (n_rows,) or None
        Position of the class that is answered; None for a regression.
    values : ndarray of shape (n_rows,), float64
        The probability that goes with it, or the value of a regression, NaN where it gave none.
    scores : ndarray
        What the predictor said.
    warnings : dict of int to list of RowWarning
        By position, what is odd about the row or the answer, besides what is odd about all rows.
    interval : (ndarray, ndarray) or None
        Lower and upper ends, each of shape (n_rows,), NaN where there is no value; None unless this version
        has intervals.
    sets : Sets or None
        None unless this version has sets.
    """

    chosen: NDArray[np.intp] | None
    values: Floats
    scores: Floats
    warnings: Mapping[int, Sequence[RowWarning]]
    interval: tuple[Floats, Floats] | None = None
    sets: Sets | None = None

    def predictions(self, labels: Sequence[Label]) -> list[Label | None]:
        """Return what is answered, row by row."""
        if self.chosen is None:
            return [None if value != value else value for value in self.values.tolist()]
        return [labels[code] for code in self.chosen.tolist()]

    def certainty(self, row: int) -> dict[str, Any]:
        """Return the interval or the set of one row under the name that it has in a request's answer."""
        if self.sets is not None:
            return {"set": self.sets.distinct[self.sets.codes[row]]}
        if self.interval is None or np.isnan(self.values[row]):
            return {}
        low, high = self.interval
        return {"interval": Interval(float(low[row]), float(high[row]))}


def answers(judge: Judge, scores: Floats, checked: Checked, detector: Detector | None = None) -> Answers:
    """Return the answers to rows that were scored.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_classes) or (n_rows,)
        As ``Predictor.scores`` returns them.
    detector : Detector, optional
        Says which rows are unlike any of training.
    """
    if detector is not None and len(checked.rows):
        checked = replace(checked, warnings=_with_novelty(detector, checked))
    if judge.spec.task == "regression":
        return _values(judge, scores, checked)
    scores = scores.reshape(len(checked.rows), len(judge.spec.class_names))  # where none was scored
    chosen = judge.chosen(scores)
    of = chosen if judge.spec.positive_index is None else judge.spec.positive_index
    values = scores[np.arange(len(scores)), of]
    sets = None if judge.conformal is None else _sets(judge.conformal, scores, chosen, judge.spec.class_names)
    return Answers(chosen, values, scores, checked.warnings, sets=sets)


def _with_novelty(detector: Detector, checked: Checked) -> dict[int, list[RowWarning]]:
    """Return the warnings with what only a comparison with training rows can tell, last as for a request."""
    warnings = dict(checked.warnings)
    for row, found in enumerate(detector.warnings(checked.numbers, checked.texts)):
        if found is not None:
            warnings[row] = [*warnings.get(row, []), found]
    return warnings


def _sets(conformal: Conformal, scores: Floats, chosen: NDArray[np.intp], names: Sequence[str]) -> Sets:
    members = conformal.members(scores, chosen)
    # Few of all possible sets occur, so each is made once; bits are sorted faster than rows of flags.
    bits = np.packbits(members, axis=1)
    _, first, codes = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    return Sets([names_of(row, names) for row in members[first].tolist()], codes.reshape(-1))


def _values(judge: Judge, scores: Floats, checked: Checked) -> Answers:
    """Have those answers examined that lie outside of what training saw, or are no number."""
    low = -np.inf if judge.spec.target.min is None else judge.spec.target.min
    high = np.inf if judge.spec.target.max is None else judge.spec.target.max
    warnings = dict(checked.warnings)
    for row in np.flatnonzero(~((scores >= low) & (scores <= high) & np.isfinite(scores))).tolist():
        answer = judge.answers(scores[row : row + 1], [""], [warnings.get(row, [])])[0]
        warnings[row] = list(answer.warnings)
    values = np.where(np.isfinite(scores), scores, np.nan)
    interval = None if judge.conformal is None else judge.conformal.intervals(values)
    return Answers(None, values, scores, warnings, interval=interval)


def scored(predictor: Predictor, checked: Checked) -> tuple[Floats, Flags, list[Fault]]:
    """Score rows one by one where the pipeline refuses some of them.

    Returns
    -------
    scores : ndarray
        Of the rows that it took.
    is_taken : ndarray of shape (n_rows,), bool
        Which these are.
    faults : list of Fault
        For each of the others why it did not.
    """
    pieces: list[Piece] = []
    _score(predictor, checked, 0, len(checked.rows), pieces)
    is_taken = np.ones(len(checked.rows), dtype=np.bool_)
    for start, stop, found in pieces:
        is_taken[start:stop] = not isinstance(found, Fault)
    scores = [found for _, _, found in pieces if not isinstance(found, Fault)]
    faults = [found for _, _, found in pieces if isinstance(found, Fault)]
    return (np.concatenate(scores) if scores else np.empty(0)), is_taken, faults


def _score(
    predictor: Predictor,
    checked: Checked,
    start: int,
    stop: int,
    pieces: list[tuple[int, int, Floats | Fault]],
) -> None:
    if start == stop:
        return
    texts = checked.texts[start:stop] if checked.texts.shape[1] else None
    try:
        pieces.append((start, stop, predictor.scores(checked.numbers[start:stop], texts)))
    except UnscorableRowsError as error:
        if stop - start == 1:
            pieces.append((start, stop, Fault("#", error.code, error.detail)))
            return
        middle = (start + stop) // 2
        _score(predictor, checked, start, middle, pieces)
        _score(predictor, checked, middle, stop, pieces)
