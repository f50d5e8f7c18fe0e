"""Intervals and sets that hold the truth as often as the spec asks: split-conformal prediction.

Learnt at training from rows that the pipeline was not fitted on, so that it is as sure of them as of new rows
(Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world"; Lei et al. 2018,
"Distribution-free predictive inference for regression"). Of new rows that come from where the training rows
came from, the stated share has its truth inside; that holds on average over rows, not for each group of them,
and no longer once inputs have drifted.

- Regression: the error is divided by what errors of about such a prediction usually are (the normalised score
  of Papadopoulos, Gammerman and Vovk 2008, "Normalized nonconformity measures for regression"). Each side has
  a bound of its own for half of the misses, as errors in prices are longer upwards.
- Classification: a class is in the set if its probability is no lower than that of nearly all rows of this
  class (the class-conditional form of Sadinle, Lei and Wasserman 2019, "Least ambiguous set-valued
  classifiers with bounded error levels"). So the share holds for each class, also for a rare one. The class
  that is answered is always in.

Light to read: numpy only.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[Any]

N_BINS = 20
MIN_BIN_ROWS = 20


class Conformal(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a version.

    ``kind`` interval: ``x`` are predictions and ``scale`` the error that is usual there, linear in between;
    ``below`` and ``above`` say how many of these an interval reaches down and up, and no end is below
    ``floor``. ``kind`` set: ``least`` has for each class the probability from which on it is in the set.
    ``n_rows`` rows decided that.
    """

    kind: Literal["interval", "set"]
    level: float
    n_rows: int
    x: list[float] = []
    scale: list[float] = []
    below: float = 0.0
    above: float = 0.0
    floor: float | None = None
    least: list[float] = []

    def to_bytes(self) -> bytes:
        """Return the part."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Conformal":
        """Read what ``to_bytes`` wrote."""
        return msgspec.json.decode(content, type=cls)

    def intervals(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the lower and the upper ends around predicted values, each of shape (n_rows,)."""
        scale = np.interp(values, self.x, self.scale)
        low, high = values - self.below * scale, values + self.above * scale
        if self.floor is not None:
            low = np.maximum(low, np.minimum(self.floor, values))
        return low, high

    def members(self, probabilities: Floats, chosen: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which classes are in the sets, shape (n_rows, n_classes); ``chosen`` are the answered ones."""
        is_member = np.asarray(probabilities >= np.asarray(self.least))
        is_member[np.arange(len(chosen)), chosen] = True
        return is_member


class Scored(msgspec.Struct, frozen=True):
    """Rows that pipelines gave scores for that were not fitted on them.

    ``y`` of shape (n_rows,) has positions of classes or values; ``scores`` are those of a predictor.
    """

    y: Codes
    scores: Floats

    def plus(self, other: "Scored") -> "Scored":
        """Return the rows of both."""
        joined = np.concatenate([self.scores, other.scores])
        return Scored(np.concatenate([self.y, other.y]), joined)


class TooFewRowsError(ValueError):
    """So few rows cannot vouch for such a level; the message says how many could."""


def learn(level: float, held_out: Scored, out_of_fold: Scored) -> Conformal:
    """Learn intervals (scores of one axis) or sets (of two).

    Parameters
    ----------
    level : float
        Share of new rows whose truth is to lie inside, between 0 and 1.
    held_out : Scored
        Rows that decide, scored by the pipeline that serves. Where they are too few, those of
        ``out_of_fold`` help, which is cross-conformal prediction (Vovk 2015) and holds about, not strictly.
    out_of_fold : Scored
        The other rows, scored by pipelines of the cross-validation.

    Raises
    ------
    TooFewRowsError
        If even both are too few.
    """
    if held_out.scores.ndim == 1:
        return _interval(level, held_out, out_of_fold)
    return _set(level, held_out, out_of_fold)


def _interval(level: float, held_out: Scored, out_of_fold: Scored) -> Conformal:
    miss = (1 - level) / 2
    needed = math.ceil(1 / miss - 1e-9) - 1
    rows = held_out if len(held_out.y) >= needed else held_out.plus(out_of_fold)
    if len(rows.y) < needed:
        raise TooFewRowsError(
            f"intervals: {level:g} needs {needed} rows that are not fitted on; there are {len(rows.y)}."
        )
    x, scale = _usual_errors(out_of_fold)
    error = (rows.y - rows.scores) / np.interp(rows.scores, x, scale)
    lowest = min(float(rows.y.min()), float(out_of_fold.y.min()))
    return Conformal(
        kind="interval",
        level=level,
        n_rows=len(rows.y),
        x=x.tolist(),
        scale=scale.tolist(),
        below=_bound(-error, miss),
        above=_bound(error, miss),
        floor=0.0 if lowest >= 0 else None,
    )


def _bound(scores: Floats, miss: float) -> float:
    """Return what a new score is above with a probability of at most ``miss``."""
    rank = math.ceil((len(scores) + 1) * (1 - miss) - 1e-9)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def _usual_errors(rows: Scored) -> tuple[Floats, Floats]:
    """Return predictions, rising, and the mean absolute error of predictions about like each."""
    order = np.argsort(rows.scores, kind="stable")
    predicted, error = rows.scores[order], np.abs(rows.y - rows.scores)[order]
    n_bins = max(1, min(N_BINS, len(order) // MIN_BIN_ROWS))
    bins = np.array_split(np.arange(len(order)), n_bins)
    x = np.array([predicted[one].mean() for one in bins])
    mean = np.array([error[one].mean() for one in bins])
    # Among rows that the model knows by heart an error is not 0, it is only not seen.
    least = max(1e-3 * float(error.mean()), float(np.finfo(np.float64).tiny))
    x, first = np.unique(x, return_index=True)
    return x, np.maximum(mean[first], least)


def _set(level: float, held_out: Scored, out_of_fold: Scored) -> Conformal:
    classes = range(held_out.scores.shape[1])
    both = held_out.plus(out_of_fold)
    needed = math.ceil(1 / (1 - level) - 1e-9) - 1
    own = [_of_class(held_out, c) for c in classes]
    probabilities = [
        found if len(found) >= needed else _of_class(both, c) for c, found in zip(classes, own, strict=True)
    ]
    return Conformal(
        kind="set",
        level=level,
        n_rows=sum(map(len, probabilities)),
        least=[_least(found, 1 - level) for found in probabilities],
    )


def _of_class(rows: Scored, position: int) -> Floats:
    return np.asarray(rows.scores[rows.y == position, position])


def _least(probabilities: Floats, miss: float) -> float:
    """Return what a new row's probability of its class is below with a probability of at most ``miss``."""
    rank = math.floor((len(probabilities) + 1) * miss + 1e-9)
    return float(np.sort(probabilities)[rank - 1]) if rank >= 1 else 0.0


def names_of(is_member: Sequence[bool], names: Sequence[str]) -> list[str]:
    """Return the names of the classes in one set."""
    return [name for name, is_in in zip(names, is_member, strict=True) if is_in]
