"""The drift reference of a version: what its inputs, and its answers to held-out rows, looked like.

Brings training rows and scores to the columns that ``model.monitoring`` counts, as serving logs them.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model import frame
from model.answer import Judge
from model.monitoring import PREDICTION, PROBABILITY, ModelReference
from model.monitoring.outputs import coarse
from model.spec import Spec

Floats = NDArray[np.float64]


def fit_reference(
    spec: Spec, features: pd.DataFrame, held_scores: Floats, threshold: float
) -> ModelReference:
    """Learn what inputs and answers look like where nothing has changed.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, n_features)
        All rows of the training table.
    held_scores : ndarray of shape (n_held_out, n_classes) or (n_held_out,)
        What the model gave for rows that it was not fitted on.
    """
    return fit_inputs(spec, features).with_outputs(_answers_reference(spec, held_scores, threshold))


def fit_inputs(spec: Spec, features: pd.DataFrame) -> ModelReference:
    """Learn what inputs look like where nothing has changed, without answers; see ``fit_reference``."""
    kinds: dict[str, Any] = {name: _kind(feature.type) for name, feature in spec.features.items()}
    ranges = {name: (spec.features[name].min, spec.features[name].max) for name in spec.numbers}
    units = {name: feature.unit for name, feature in spec.features.items() if feature.unit}
    logged = frame.logged_columns(spec, features)
    return ModelReference.fit(logged, kinds, ranges=ranges, units=units, segments=spec.drift.segments)


def _answers_reference(spec: Spec, scores: Floats, threshold: float) -> ModelReference:
    if not spec.labels:
        return ModelReference.fit({PREDICTION: scores.tolist()}, {PREDICTION: "number"})
    answers: dict[str, Any] = {PREDICTION: [spec.labels[i] for i in Judge(spec, threshold).chosen(scores)]}
    kinds: dict[str, Any] = {PREDICTION: "category"}
    if spec.positive_index is not None:
        answers[PROBABILITY] = coarse(scores[:, spec.positive_index].tolist())
        kinds[PROBABILITY] = "number"
    return ModelReference.fit(answers, kinds)


def _kind(kind: str) -> str:
    """What drift checks call it: truth values are counted as two categories."""
    return {"category": "category", "boolean": "category", "date": "date"}.get(kind, "number")
