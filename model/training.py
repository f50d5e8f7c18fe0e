"""From a spec and a table to a fitted, measured and compiled model, ready to be stored as a version.

What serves is what was measured: the held-out rows are never fitted on. So metrics are honest, the answers on
held-out rows look as those on new rows will (the reference of prediction drift), and later versions are
compared on the same rows. The decision threshold comes from rows that no fold was fitted on. Writes nothing.
"""

import importlib
import inspect
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from model import certainty, compiling, expectation, frame, resolving, splitting
from model.additive import Additive
from model.compiling import golden_rows
from model.conformal import Conformal, Scored
from model.evaluation import Metrics, evaluate, selected
from model.expectation import Expectation
from model.explanation import MAX_EXACT
from model.fallback import score
from model.frame import Rows
from model.golden import Golden
from model.monitoring import ModelReference
from model.novelty import Novelty
from model.references import fit_reference
from model.spec import Spec
from model.thresholds import choose_threshold
from utils.errors import SpecError, VigiaError

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Step = Callable[[str, int, int], None]

MIN_ROWS = 20
MIN_CLASS_ROWS = 2


class TrainingError(VigiaError):
    """These rows cannot be learnt from."""

    status = 422
    code = "training"
    title = "Rows that cannot be learnt from"


@dataclass(frozen=True)
class Trained:
    """What training made.

    Attributes
    ----------
    spec : Spec
        Resolved.
    pipeline : Pipeline
        Fitted on all rows but the held-out ones.
    metrics : dict
        On the held-out rows.
    cross_validation : dict
        For each metric its mean and standard deviation over the folds.
    threshold : float
        Probability from which on the positive of two classes is answered.
    golden : Golden
        Rows with what the pipeline answers.
    compiled : bytes or None
        The pipeline as a graph; ``not_compiled`` says why there is none.
    reference : ModelReference
        What the rows, and the answers on held-out ones, looked like; for drift checks.
    trained_on : dict
        ``n_rows``, ``n_held_out``, ``n_unlabelled`` and ``n_incomplete`` (left out, as serving refuses them).
    expectation : Expectation or None
        What quality to expect of answers without labels.
    conformal : Conformal or None
        What intervals or sets are made with; None unless the spec asks for them.
    novelty : Novelty or None
        What far rows are found with; None unless the spec asks for it.
    additive : Additive or None
        The score as a sum of trees, for exact explanations; None where it is none.
    seconds : float
        How long it took.
    """

    spec: Spec
    pipeline: Pipeline
    metrics: Metrics
    cross_validation: dict[str, Metrics]
    threshold: float
    golden: Golden
    compiled: bytes | None
    not_compiled: str
    reference: ModelReference
    trained_on: dict[str, Any] = field(default_factory=dict)
    expectation: Expectation | None = None
    conformal: Conformal | None = None
    novelty: Novelty | None = None
    additive: Additive | None = None
    seconds: float = 0.0


def train(spec: Spec, table: pd.DataFrame | list[dict[str, object]], on_step: Step | None = None) -> Trained:
    """Train one model.

    Parameters
    ----------
    spec : Spec
        As the file says it, or resolved.
    table : DataFrame or list of dict
        Rows with the target; see ``frame.read_table``.
    on_step : callable, optional
        Called with what begins, how many steps are done and how many there are, to show progress.

    Raises
    ------
    TrainingError
        If there are too few rows, or only one class.
    model.frame.TableError
        If a column is lacking, or a cell is not what the spec says.
    SpecError
        If the spec's pipeline cannot be made.
    """
    with threadpool_limits(limits=1):  # the same bits on every machine, and a core left for the service
        return _Run(spec, table, on_step or _silent).trained()


def _silent(what: str, n_done: int, n_steps: int) -> None:
    pass


class _Run:
    """One training: the rows, and how far it has come."""

    def __init__(self, spec: Spec, table: pd.DataFrame | list[dict[str, object]], on_step: Step) -> None:
        self._start = time.perf_counter()
        self._on_step = on_step
        spec = resolving.with_classes(spec, frame.as_table(table))
        self.rows, self._counts = usable_rows(spec, table)
        self.spec = resolving.resolve(spec, self.rows)
        self.unfitted = make_pipeline(self.spec, len(self.rows))
        self._is_held = splitting.held_out(self.rows, spec.task)
        self._train = self.rows.take(~self._is_held)
        self._folds = splitting.folds(self._train, spec.task)
        self._n_done = 0

    def _step(self, what: str) -> None:
        self._on_step(what, self._n_done, len(self._folds) + 2)
        self._n_done += 1

    def trained(self) -> Trained:
        scores = self._out_of_fold()
        threshold = choose_threshold(self.spec, self._train.y, scores)
        cross_validation = by_fold(self.spec, self._train.y, scores, self._folds, threshold)
        self._step("fitting")
        pipeline = fitted(self.unfitted, self._train)
        held = self.rows.take(self._is_held)
        held_scores = scored(pipeline, self.spec, held.features)
        metrics = evaluate(self.spec, held.y, held_scores, threshold)
        self._step("compiling")
        golden = golden_of(self.spec, self.rows.features, pipeline, threshold)
        compiled, reason = compiled_of(self.spec, pipeline, golden)
        return Trained(
            spec=self.spec,
            pipeline=pipeline,
            metrics=metrics,
            cross_validation=cross_validation,
            threshold=threshold,
            golden=golden,
            compiled=compiled,
            not_compiled=reason,
            reference=fit_reference(self.spec, self.rows.features, held_scores, threshold),
            trained_on=self._counts | {"n_rows": len(self.rows), "n_held_out": len(held)},
            expectation=expectation.learn(self._train.y, scores, self.spec.positive_index),
            conformal=certainty.conformal(
                self.spec, Scored(held.y, held_scores), Scored(self._train.y, scores)
            ),
            novelty=certainty.novelty(self.spec, self.rows.features),
            additive=additive_of(self.spec, pipeline, golden),
            seconds=round(time.perf_counter() - self._start, 3),
        )

    def _out_of_fold(self) -> Floats:
        def step(number: int) -> None:
            self._step(f"cross-validation {number} of {len(self._folds)}")

        return out_of_fold(self.spec, self.unfitted, self._train, self._folds, step)


def out_of_fold(
    spec: Spec,
    unfitted: Pipeline,
    rows: Rows,
    folds: Sequence[splitting.Positions],
    on_fold: Callable[[int], None],
) -> Floats:
    """Score each row by a pipeline that was fitted without its fold; raises TrainingError as ``fitted``."""
    shape = (len(rows), len(spec.labels)) if spec.labels else (len(rows),)
    scores = np.empty(shape)
    for number, fold in enumerate(folds, 1):
        on_fold(number)
        others = np.setdiff1d(np.arange(len(rows)), fold)
        scores[fold] = scored(fitted(unfitted, rows.take(others)), spec, rows.features.iloc[fold])
    return scores


def by_fold(
    spec: Spec, y: NDArray[Any], scores: Floats, folds: Sequence[splitting.Positions], threshold: float
) -> dict[str, Metrics]:
    """Return for each metric of the spec its mean and standard deviation over the folds."""
    found = [evaluate(spec, y[fold], scores[fold], threshold) for fold in folds]
    return {name: _spread([one[name] for one in found]) for name in selected(spec, found[0])}


def usable_rows(spec: Spec, table: pd.DataFrame | list[dict[str, object]]) -> tuple[Rows, dict[str, int]]:
    """Return the labelled rows that serving would accept, and how many were left out.

    Raises TrainingError if these are too few, or all of one class.
    """
    rows = frame.labelled_rows(spec, table)
    is_incomplete = frame.is_incomplete(spec, rows.features)
    counts = {"n_unlabelled": rows.n_unlabelled, "n_incomplete": int(is_incomplete.sum())}
    if counts["n_incomplete"]:
        _warn_incomplete(spec, rows, counts["n_incomplete"])
    rows = rows.take(~is_incomplete)
    if len(rows) < MIN_ROWS:
        raise TrainingError(f"{len(rows)} usable rows are too few; {MIN_ROWS} are needed.{_left_out(counts)}")
    _check_classes(spec, rows)
    return rows, counts


def _left_out(counts: dict[str, int]) -> str:
    words = {"n_unlabelled": "without a label", "n_incomplete": "without a value that the spec requires"}
    told = [f"{counts[name]} {text}" for name, text in words.items() if counts[name]]
    return f" Left out: {' and '.join(told)}." if told else ""


def _warn_incomplete(spec: Spec, rows: Rows, count: int) -> None:
    gaps = rows.features.isna().sum()
    names = [n for n, feature in spec.features.items() if gaps[n] and not feature.missing]
    log.warning(
        "%s: %d of %d rows are left out: they lack %s, which the spec requires (`missing: true` allows gaps)",
        spec.name,
        count,
        len(rows),
        ", ".join(names),
    )


def _check_classes(spec: Spec, rows: Rows) -> None:
    counts = np.bincount(rows.y, minlength=len(spec.labels)) if spec.labels else np.array([], dtype=int)
    for label, count in zip(spec.labels, counts, strict=True):
        if count < MIN_CLASS_ROWS:
            raise TrainingError(
                f"{count} usable rows have the label {label!r} in {spec.target.name!r};"
                f" each class needs {MIN_CLASS_ROWS} at least."
            )
    if spec.task == "regression" and float(np.ptp(rows.y)) == 0:
        raise TrainingError(f"All rows have the same {spec.target.name!r}, {rows.y[0]:g}.")


def make_pipeline(spec: Spec, n_rows: int) -> Pipeline:
    """Return the spec's pipeline, unfitted.

    Its function gets what it has a parameter for (spec, n_rows), and the spec's ``parameters``.

    Raises
    ------
    SpecError
        If there is no such function, or it fails.
    """
    module, _, name = spec.pipeline.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
        asked = inspect.signature(function).parameters
        given = {"spec": spec, "n_rows": n_rows}
        given = {key: value for key, value in given.items() if key in asked}
        pipeline = function(**given, **spec.parameters)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise SpecError(f"{spec.name}: the pipeline {spec.pipeline!r} cannot be made ({error}).") from error
    if not hasattr(pipeline, "fit"):
        raise SpecError(f"{spec.name}: {spec.pipeline!r} returned {type(pipeline).__name__}, no estimator.")
    return pipeline


def fitted(unfitted: Pipeline, rows: Rows) -> Pipeline:
    """Return a fitted copy. Raises TrainingError if the pipeline refuses these rows."""
    try:
        return clone(unfitted).fit(rows.features, rows.y)
    except ValueError as error:
        log.exception("the pipeline refuses the rows")  # whoever wrote the pipeline needs to see where
        raise TrainingError(f"The pipeline refuses these rows: {error}") from error


def scored(pipeline: Pipeline, spec: Spec, features: pd.DataFrame) -> Floats:
    """Return scores with a column for each class of the spec, also for those that a fold has not seen."""
    scores = score(pipeline, features)
    if scores.ndim == 1 or scores.shape[1] == len(spec.labels):
        return scores
    spread = np.zeros((len(scores), len(spec.labels)))
    spread[:, pipeline.classes_] = scores
    return spread


def _spread(values: Iterable[float | None]) -> Metrics:
    defined = [value for value in values if value is not None]
    if not defined:
        return {"mean": None, "std": None}
    return {"mean": float(np.mean(defined)), "std": float(np.std(defined))}


def golden_of(spec: Spec, features: pd.DataFrame, pipeline: Pipeline, threshold: float) -> Golden:
    """Choose golden rows among training rows and edge cases, with what the pipeline answers."""
    return golden_rows.make_golden(
        pipeline,
        features,
        spec.texts,
        may_miss=[name for name, feature in spec.features.items() if feature.missing],
        ranges={name: (spec.features[name].min, spec.features[name].max) for name in spec.numbers},
        positive=1 if spec.positive_index is None else spec.positive_index,
        threshold=threshold,
    )


def additive_of(spec: Spec, pipeline: Pipeline, golden: Golden) -> Additive | None:
    """Return the score as a sum of trees, for exact explanations; None where it is none, or not needed."""
    if len(spec.features) <= MAX_EXACT:
        return None
    try:
        return compiling.additive_of(pipeline, list(spec.features), spec.texts, golden)
    except Exception:  # a user's own converter may raise anything, and explanations can be sampled
        log.warning("%s: contributions will be sampled", spec.name, exc_info=True)
        return None


def compiled_of(spec: Spec, pipeline: Pipeline, golden: Golden) -> tuple[bytes | None, str]:
    """Return the pipeline as a graph, or None and the reason why there is none."""
    try:
        return compiling.compile_pipeline(pipeline, list(spec.features), spec.texts, golden), ""
    except compiling.NotCompilableError as error:
        log.warning("%s: the pipeline cannot be compiled and serves as it is: %s", spec.name, error.reason)
        return None, error.reason
