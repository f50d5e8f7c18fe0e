"""Scoring by the scikit-learn pipeline itself: what cannot be compiled, and the rows a graph leaves open.

Heavy: imports pandas and scikit-learn. The web process imports this module only when it needs it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from threadpoolctl import ThreadpoolController

from model.predictor import Floats, Texts, UnscorableRowsError


class SklearnPredictor:
    """Scores by a fitted pipeline, on one thread.

    Parameters
    ----------
    pipeline : estimator
        Fitted on a DataFrame.
    columns : sequence of str
        All columns in the order of the spec.
    texts : collection of str
        Which of them hold text; the others hold numbers. Both kinds keep the order of ``columns``.
    """

    served_by = "sklearn"

    def __init__(self, pipeline: Any, columns: Sequence[str], texts: Sequence[str]) -> None:
        self._pipeline = pipeline
        self._threads = ThreadpoolController()  # finding the pools takes longer than scoring a row
        self._columns = list(columns)
        self._texts = [name for name in columns if name in set(texts)]
        self._numbers = [name for name in columns if name not in set(texts)]

    def scores(self, numbers: Floats, texts: Texts | None) -> Floats:
        """Score rows; see ``model.predictor.Predictor.scores``.

        Raises
        ------
        UnscorableRowsError
            If the pipeline raises ValueError, as for an unseen category that it was told to refuse.
        """
        frame = self.frame(numbers, texts)
        try:
            with self._threads.limit(limits=1):
                return score(self._pipeline, frame)
        except ValueError as error:
            raise UnscorableRowsError(str(error)) from error

    def frame(self, numbers: Floats, texts: Texts | None) -> pd.DataFrame:
        """Return the rows as the frame that the pipeline was trained on: "" becomes NaN."""
        columns: dict[str, Any] = dict(zip(self._numbers, numbers.T, strict=True))
        if texts is not None:
            missing = np.where(texts == "", np.nan, texts)
            columns |= {name: pd.Series(missing[:, i], dtype=object) for i, name in enumerate(self._texts)}
        return pd.DataFrame(columns, columns=self._columns)


def score(pipeline: Any, frame: pd.DataFrame) -> Floats:
    """Return probabilities of shape (n_rows, n_classes), or values of shape (n_rows,) of a regression.

    A classifier without probabilities gives 1 to the class it predicts.
    """
    if not is_classifier(pipeline):
        return np.asarray(pipeline.predict(frame), dtype=np.float64).reshape(-1)
    if hasattr(pipeline, "predict_proba"):
        return np.asarray(pipeline.predict_proba(frame), dtype=np.float64)
    return np.asarray(pipeline.predict(frame)[:, None] == pipeline.classes_[None, :], dtype=np.float64)
