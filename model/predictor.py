"""Scoring of validated rows, as the web process does it: numpy and ONNX Runtime, nothing else.

``CompiledPredictor`` runs the graph that ``model.compiling`` made at training. A graph may abstain in a row
that it cannot decide as scikit-learn would (an exact tie between neighbours, a number within rounding of
a threshold, a category that the pipeline refuses): it answers NaN there, and the row goes to the fallback,
which is the pipeline itself and loaded only then. ``model.fallback`` has the predictor that runs pipelines.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from utils.errors import InvalidRowsError

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]


class Predictor(Protocol):
    """What can score rows."""

    @property
    def served_by(self) -> str:
        """``compiled`` or ``sklearn``."""
        ...

    def scores(self, numbers: Floats, texts: Texts | None) -> Floats:
        """Score rows.

        Parameters
        ----------
        numbers : ndarray of shape (n_rows, n_numbers), float64
            NaN is missing.
        texts : ndarray of shape (n_rows, n_texts), object, or None
            str only; "" is missing. None where the model has no text features.

        Returns
        -------
        scores : ndarray of float64
            Probabilities of shape (n_rows, n_classes) in the order of the estimator's classes, or values of
            shape (n_rows,) for regression.
        """
        ...


class UnscorableRowsError(InvalidRowsError):
    """The pipeline has no answer for a row that is valid by the spec."""

    code = "unscorable_rows"
    title = "Rows that the model cannot score"


class CompiledPredictor:
    """Scores by a compiled graph.

    Safe to use from several threads at once.

    Parameters
    ----------
    onnx_bytes : bytes
        What ``model.compiling.compile_pipeline`` returned.
    n_threads : int, default=1
        Threads a call may use. Web workers scale by processes, so one.
    fallback : callable returning a Predictor, optional
        Called at most once, the first time that the graph abstains in a row.
    """

    served_by = "compiled"

    def __init__(
        self, onnx_bytes: bytes, n_threads: int = 1, fallback: Callable[[], Predictor] | None = None
    ) -> None:
        self._session = ort.InferenceSession(onnx_bytes, _options(n_threads), ["CPUExecutionProvider"])
        self._inputs = tuple(node.name for node in self._session.get_inputs())
        self._outputs = [node.name for node in self._session.get_outputs()]
        notes = self._session.get_modelmeta().custom_metadata_map
        self._rows_at_once = int(notes["rows_at_once"])
        self._fallback = fallback
        self._loaded: Predictor | None = None
        self._lock = Lock()

    def scores(self, numbers: Floats, texts: Texts | None) -> Floats:
        """Score rows; see ``Predictor.scores``.

        Raises
        ------
        UnscorableRowsError
            If the graph abstains and there is no fallback, or the pipeline has no answer either.
        """
        scores = self.own_scores(numbers, texts)
        is_open = np.isnan(scores if scores.ndim == 1 else scores[:, 0])
        return self._fill(scores, is_open, numbers, texts) if is_open.any() else scores

    def own_scores(self, numbers: Floats, texts: Texts | None) -> Floats:
        """Score rows without the fallback: NaN throughout a row in which the graph abstains."""
        n_rows = len(numbers)
        if n_rows <= self._rows_at_once:
            return self._run(numbers, texts)
        starts = range(0, n_rows, self._rows_at_once)
        cuts = [slice(start, start + self._rows_at_once) for start in starts]
        return np.concatenate(
            [self._run(numbers[cut], None if texts is None else texts[cut]) for cut in cuts]
        )

    def _run(self, numbers: Floats, texts: Texts | None) -> Floats:
        given = {"numbers": numbers, "texts": texts}
        outputs: list[Any] = self._session.run(self._outputs, {name: given[name] for name in self._inputs})
        scores: Floats = outputs[0]
        return scores

    def _fill(
        self, scores: Floats, is_open: NDArray[np.bool_], numbers: Floats, texts: Texts | None
    ) -> Floats:
        pipeline = self._pipeline(int(is_open.sum()))
        scores[is_open] = pipeline.scores(numbers[is_open], None if texts is None else texts[is_open])
        return scores

    def _pipeline(self, n_rows: int) -> Predictor:
        with self._lock:
            if self._loaded is None:
                if self._fallback is None:
                    raise UnscorableRowsError(f"The compiled model cannot decide {n_rows} of these rows.")
                self._loaded = self._fallback()
            return self._loaded


def _options(n_threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    # ONNX Runtime's own rewriting is not exact: it folds factors into products as float32. The graphs are
    # made lean to begin with, so nothing is lost without it, and loading is faster.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # an arena keeps the memory of the largest batch for ever
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
