"""The decision threshold of two classes, chosen on rows that the scores were not fitted on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.spec import Spec

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# With a rarer class than this, half is no sensible threshold: hardly any row would reach it.
UNBALANCED = 0.2


def choose_threshold(spec: Spec, y: NDArray[Any], scores: Floats) -> float:
    """Choose the probability from which on the positive of two classes is answered.

    Half, unless one class is rare: then the one that gives the rarer class its largest F1 on these rows
    (Lipton, Elkan and Naryanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure").

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Positions of the classes.
    scores : ndarray of shape (n_rows, 2)
        Probabilities on rows that were not fitted on.
    """
    positive = spec.positive_index
    if positive is None:
        return 0.5
    share = float((y == positive).mean())
    if UNBALANCED <= share <= 1 - UNBALANCED:
        return 0.5
    rare = positive if share < UNBALANCED else 1 - positive
    cut = _best_f1_cut(y == rare, scores[:, rare])
    return cut if rare == positive else 1 - cut


def _best_f1_cut(is_rare: Flags, probability: Floats) -> float:
    """Return the middle between the two neighbouring probabilities between which F1 is largest."""
    order = np.argsort(-probability, kind="stable")
    sorted_p, hits = probability[order], np.cumsum(is_rare[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    is_cut = np.append(sorted_p[:-1] > sorted_p[1:], False)
    if not is_cut.any():
        return 0.5
    best = int(np.argmax(np.where(is_cut, f1, -1.0)))
    return float((sorted_p[best] + sorted_p[best + 1]) / 2)
