"""What was predicted beside what came, in bins of the predictions: the curve of calibration, for plots."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.spec import Spec

Floats = NDArray[np.float64]
N_BINS = 10


def calibration(spec: Spec, y_true: NDArray[Any], scores: Floats) -> list[tuple[float, float, int]]:
    """Return for each bin the mean prediction, the mean of what came, and its rows.

    Bins hold about equally many rows. Two classes: the probability of the positive one and its share; more:
    the probability of the class that is predicted, and how often it was right; a regression: values.
    """
    predicted, observed = _pairs(spec, y_true, scores)
    order = np.argsort(predicted, kind="stable")
    bins = [part for part in np.array_split(order, N_BINS) if len(part)]
    return [(float(predicted[b].mean()), float(observed[b].mean()), len(b)) for b in bins]


def _pairs(spec: Spec, y_true: NDArray[Any], scores: Floats) -> tuple[Floats, Floats]:
    if spec.task == "regression":
        return scores, np.asarray(y_true, dtype=np.float64)
    if spec.positive_index is not None:
        return scores[:, spec.positive_index], (y_true == spec.positive_index).astype(np.float64)
    return scores.max(axis=1), (scores.argmax(axis=1) == y_true).astype(np.float64)


def write(path: Path, points: list[tuple[float, float, int]]) -> None:
    """Write the curve as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("predicted", "observed", "rows"), *points])
