"""From a fitted pipeline to the bytes of a graph, checked on golden rows."""

import logging
from collections.abc import Sequence
from typing import Any

from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from model.compiling.classes import class_positions
from model.compiling.errors import NotCompilableError
from model.compiling.formulas import is_class
from model.compiling.graph import Graph
from model.compiling.registry import convert
from model.compiling.tables import Column, Table
from model.golden import Golden, Replay, replay
from model.predictor import CompiledPredictor

log = logging.getLogger(__name__)

# A graph that leaves more than this share of usual rows to the pipeline saves little.
MOST_UNDECIDED = 0.1


def compile_pipeline(
    pipeline: Any, columns: Sequence[str], texts: Sequence[str], golden: Golden, *, tolerance: float = 1e-6
) -> bytes:
    """Compile a fitted estimator, and replay golden rows before it is trusted.

    Parameters
    ----------
    pipeline : estimator
        Fitted on a DataFrame with ``columns`` in that order: float64 with NaN for numbers, object with str
        and NaN for texts.
    columns : sequence of str
        All columns of that frame, in its order.
    texts : collection of str
        Which of them hold text.
    golden : Golden
        Rows with what the pipeline answers.
    tolerance : float, default=1e-6
        Largest difference of probabilities; relative for regression.

    Returns
    -------
    onnx_bytes : bytes
        A model with the inputs ``numbers`` (float64, one column a number, NaN missing) and ``texts``
        (strings, "" missing), each only where it is used, and one output: ``probabilities`` of shape
        (n_rows, n_classes) in the order of ``classes_``, or ``values`` of shape (n_rows,).

    Raises
    ------
    NotCompilableError
        If a step has no exact counterpart, or a golden row is answered differently.
    """
    try:
        data = build(pipeline, columns, texts)
        result = replay(CompiledPredictor(data), golden, tolerance)
    except NotCompilableError:
        raise
    except Exception as error:  # a user's own converter may raise anything, and the pipeline can serve
        log.warning("compiling failed, scikit-learn will serve", exc_info=True)
        raise NotCompilableError(f"compiling failed: {error!r}") from error
    _check(result, golden)
    return data


def build(pipeline: Any, columns: Sequence[str], texts: Sequence[str]) -> bytes:
    """Compile without a replay; see ``compile_pipeline``."""
    names = set(texts)
    graph = Graph(len([name for name in columns if name not in names]), len(names & set(columns)))
    table = inputs(columns, names)
    classes = getattr(pipeline, "classes_", None) if is_classifier(pipeline) else None
    scores = _scores(pipeline, table, graph, classes)
    n_scores = 0 if classes is None else len(classes)
    if scores.n_columns != max(n_scores, 1):
        raise NotCompilableError(f"{scores.n_columns} outputs where {max(n_scores, 1)} are wanted")
    return graph.finish(graph.matrix(scores), n_scores, {})


def inputs(columns: Sequence[str], texts: set[str]) -> Table:
    """Return the table that the columns of a spec are at first."""
    counts = {"numbers": 0, "texts": 0}
    made = []
    for name in columns:
        tensor = "texts" if name in texts else "numbers"
        made.append(Column(tensor, counts[tensor], is_text=name in texts, may_miss=True))
        counts[tensor] += 1
    return Table(tuple(made))


def _scores(pipeline: Any, table: Table, graph: Graph, classes: Any) -> Table:
    if classes is None:
        return _convert(pipeline, "predict", table, graph)
    if hasattr(pipeline, "predict_proba"):
        return _convert(pipeline, "predict_proba", table, graph)
    chosen = class_positions(pipeline, table, graph)
    return graph.table(is_class(graph, graph.matrix(chosen), len(classes)), len(classes))


def _convert(pipeline: Any, method: str, table: Table, graph: Graph) -> Table:
    try:
        return convert(pipeline, method, table, graph)
    except NotCompilableError as error:
        if _only_last_step_fails(pipeline, table):
            reason = f"all steps but the last can be compiled; {error.reason}"
            raise NotCompilableError(reason) from error
        raise


def _only_last_step_fails(pipeline: Any, table: Table) -> bool:
    if not isinstance(pipeline, Pipeline) or len(pipeline.steps) < 2:
        return False
    widths = [sum(c.tensor == name for c in table.columns) for name in ("numbers", "texts")]
    try:
        convert(pipeline[:-1], "transform", table, Graph(*widths))
    except NotCompilableError:
        return False
    return True


def _check(result: Replay, golden: Golden) -> None:
    n_rows = result.n_rows
    if not result.is_ok:
        raise NotCompilableError(
            f"the graph differs by {result.largest_difference:.3g} from the pipeline"
            f" in golden row {result.row}, and in the class of {result.n_other_classes} of {n_rows} rows"
        )
    if result.n_usual_undecided > MOST_UNDECIDED * golden.n_usual:
        raise NotCompilableError(
            f"the graph cannot decide {result.n_usual_undecided} of {golden.n_usual} training rows exactly"
            " (ties, or values within rounding of a threshold)"
        )
