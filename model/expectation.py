"""What quality to expect of answers whose labels are not there yet.

Learnt at training from rows that the pipeline was not fitted on. Two classes: probabilities are calibrated
by isotonic regression on out-of-fold scores, and the expected metrics follow from them (confidence-based
performance estimation: Garg et al. 2022, "Leveraging unlabeled data to predict out-of-distribution
performance"; Kivimäki et al. 2024, "Performance estimation in binary classification using calibrated
confidence"). More classes: the log has the probability of the answer only, so that is calibrated (top-label
calibration: Gupta and Ramdas 2022), and which class it was instead is what out-of-fold answers of this class
were. Regression: the expected loss is that of out-of-fold predictions of about the same value. Both
hold while the target depends on the features as it did; so a gap to the realised quality is concept drift.
Light to read: numpy only.
"""

import importlib
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_KNOTS = 500
N_BINS = 20
MIN_ROWS = 50


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a version.

    ``kind`` calibration: ``x`` are probabilities, ``y`` how often the positive class came with them,
    linear in between. ``kind`` classes: the same for the probability of the answer and how often it was
    right; ``others`` has for each answer how often each class was the truth, where the answer was wrong.
    ``kind`` loss: ``x`` are the inner edges of bins of predicted values, ``y`` the mean
    squared and ``z`` the mean absolute error in each.
    """

    kind: Literal["calibration", "classes", "loss"]
    x: list[float]
    y: list[float]
    z: list[float] = []
    others: list[list[float]] = []
    n_rows: int = 0

    def to_bytes(self) -> bytes:
        """Return the part."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Expectation":
        """Read what ``to_bytes`` wrote."""
        return msgspec.json.decode(content, type=cls)

    def calibrated(self, probability: Floats) -> Floats:
        """Return how often the positive class (or the answer) is to be expected, shape (n_rows,)."""
        return np.interp(probability, self.x, self.y)

    def chances(self, chosen: Floats, probability: Floats, positive: int | None) -> Floats:
        """Return the chance of each class to be the truth, shape (n_rows, n_classes).

        Parameters
        ----------
        chosen, probability : ndarray of shape (n_rows,)
            Position of the answer; probability of the positive of two classes, else of the answer.
        positive : int or None
            Position of the positive of two classes.
        """
        chance = self.calibrated(probability)
        if positive is not None:
            sides = (1 - chance, chance) if positive == 1 else (chance, 1 - chance)
            return np.column_stack(sides)
        answers = chosen.astype(np.int64)
        found: Floats = (1 - chance)[:, None] * np.asarray(self.others)[answers]
        found[np.arange(len(answers)), answers] = chance
        return found

    def losses(self, predictions: Floats) -> tuple[Floats, Floats]:
        """Return the squared and the absolute error to be expected of each prediction, shape (n_rows,)."""
        bins = np.searchsorted(np.asarray(self.x), predictions, side="right")
        return np.asarray(self.y)[bins], np.asarray(self.z)[bins]


def learn(y_true: NDArray[Any], scores: Floats, positive: int | None) -> Expectation | None:
    """Learn from out-of-fold scores; None where there are too few rows.

    Parameters
    ----------
    y_true : ndarray of shape (n_rows,)
        Positions of the classes, or values.
    scores : ndarray of shape (n_rows, n_classes) or (n_rows,)
        What pipelines gave that were not fitted on the row.
    positive : int or None
        Position of the positive of two classes.
    """
    if len(y_true) < MIN_ROWS:
        return None
    if positive is not None:
        x, y = _calibration((y_true == positive).astype(np.float64), scores[:, positive])
        return Expectation(kind="calibration", x=x, y=y, n_rows=len(y_true))
    if scores.ndim == 2:
        return _classes(np.asarray(y_true, dtype=np.int64), scores)
    return _loss(np.asarray(y_true, dtype=np.float64), scores)


def _classes(y_true: NDArray[np.int64], scores: Floats) -> Expectation:
    answer, n_classes = scores.argmax(axis=1), scores.shape[1]
    is_right = answer == y_true
    x, y = _calibration(is_right.astype(np.float64), scores.max(axis=1))
    wrong = np.zeros((n_classes, n_classes))
    np.add.at(wrong, (answer[~is_right], y_true[~is_right]), 1.0)
    # An answer that was never wrong says nothing about how: then as often as the classes are.
    usual = np.tile(np.bincount(y_true, minlength=n_classes) + 1.0, (n_classes, 1))
    np.fill_diagonal(usual, 0.0)
    counts = np.where(wrong.sum(axis=1, keepdims=True) > 0, wrong, usual)
    others = counts / counts.sum(axis=1, keepdims=True)
    return Expectation(kind="classes", x=x, y=y, others=others.tolist(), n_rows=len(y_true))


def _calibration(is_positive: Floats, probability: Floats) -> tuple[list[float], list[float]]:
    # By name, so that a process that only reads needs no scikit-learn.
    isotonic = importlib.import_module("sklearn.isotonic").IsotonicRegression(out_of_bounds="clip")
    isotonic.fit(probability, is_positive)
    x, y = isotonic.X_thresholds_, isotonic.y_thresholds_
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_KNOTS)).astype(int))
    return x[kept].tolist(), y[kept].tolist()


def _loss(y_true: Floats, y_pred: Floats) -> Expectation:
    n_bins = max(1, min(N_BINS, len(y_true) // MIN_ROWS))
    edges = np.unique(np.quantile(y_pred, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bins, error = np.searchsorted(edges, y_pred, side="right"), y_pred - y_true
    counts = np.bincount(bins, minlength=len(edges) + 1)
    sums = [np.bincount(bins, loss, len(edges) + 1) for loss in (error**2, np.abs(error))]
    overall = [float((error**2).mean()), float(np.abs(error).mean())]
    means = [np.where(counts > 0, s / np.maximum(counts, 1), o) for s, o in zip(sums, overall, strict=True)]
    return Expectation(
        kind="loss", x=edges.tolist(), y=means[0].tolist(), z=means[1].tolist(), n_rows=len(y_true)
    )
