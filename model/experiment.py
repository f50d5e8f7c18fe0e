"""Which pipeline suits a table best? Candidates are cross-validated on the same folds, and ranked.

The held-out rows take no part, so the winner can still be compared with a champion on them. Candidates come
from a grid or from a search (Optuna's tree of Parzen estimators, Bergstra et al. 2011). Pure: stores nothing.
"""

import importlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from model import frame, resolving, splitting, training
from model.evaluation import ERRORS, Metrics
from model.frame import Rows
from model.gate import deciding_metric
from model.spec import Spec
from model.thresholds import choose_threshold
from model.training import TrainingError
from utils.errors import SpecError, UnavailableError

Floats = NDArray[np.float64]
Step = Callable[[str, int, int], None]

OWN = "spec"
ALTERNATIVES = "model.preprocessing.alternatives"
# What is tried where nobody says what: each family once or a few times.
GRID: tuple[Mapping[str, Any], ...] = (
    {"model": OWN},
    {"model": "linear", "regularisation": [0.1, 1.0, 10.0]},
    {"model": "forest", "min_leaf": [2, 10]},
    {"model": "extra_trees", "min_leaf": [2, 10]},
    {"model": "boosting", "learning_rate": [0.03, 0.1], "n_leaves": [7, 31]},
)
# Ranges of a search: low, high, and whether steps are factors. Bounds that are integers give integers.
SPACE: Mapping[str, Mapping[str, tuple[float, float, bool]]] = {
    "linear": {"regularisation": (0.001, 1_000.0, True)},
    "forest": {"n_trees": (100, 400, False), "min_leaf": (1, 30, True)},
    "extra_trees": {"n_trees": (100, 400, False), "min_leaf": (1, 30, True)},
    "boosting": {
        "n_rounds": (50, 400, True),
        "learning_rate": (0.01, 0.3, True),
        "n_leaves": (4, 63, True),
        "min_leaf": (5, 50, True),
    },
}
SEED = 20_240_101


@dataclass(frozen=True)
class Candidate:
    """One pipeline: a function, and what it is given. ``name`` is what tables call it."""

    name: str
    pipeline: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Name and parameters in one line."""
        given = ", ".join(f"{name}={_short(value)}" for name, value in self.parameters.items())
        return f"{self.name} ({given})" if given else self.name


@dataclass(frozen=True)
class Tried:
    """A candidate with what came out, or ``problem`` where it could not be fitted.

    ``metrics`` has mean and standard deviation over the folds; ``scores`` are out of fold, for curves.
    """

    candidate: Candidate
    metrics: dict[str, Metrics] = field(default_factory=dict)
    seconds: float = 0.0
    scores: Floats | None = None
    problem: str = ""

    def value(self, metric: str) -> float | None:
        """Return the mean of a metric, None where there is none."""
        return self.metrics.get(metric, {}).get("mean")


class Bench:
    """The rows and folds on which all candidates are tried.

    Parameters
    ----------
    spec : Spec
        As the file says it.
    table : DataFrame
        Rows with the target. Raises TrainingError if they cannot be learnt from.
    """

    def __init__(self, spec: Spec, table: pd.DataFrame) -> None:
        spec = resolving.with_classes(spec, frame.as_table(table))
        rows, _ = training.usable_rows(spec, table)
        self.spec = resolving.resolve(spec, rows)
        self.rows: Rows = rows.take(~splitting.held_out(rows, spec.task))
        self.folds = splitting.folds(self.rows, spec.task)
        self.metric = deciding_metric(self.spec)

    def attempt(self, candidate: Candidate) -> Tried:
        """Cross-validate one candidate."""
        start, spec = time.perf_counter(), with_candidate(self.spec, candidate)
        try:
            with threadpool_limits(limits=1):
                unfitted = training.make_pipeline(spec, len(self.rows))
                scores = training.out_of_fold(spec, unfitted, self.rows, self.folds, lambda number: None)
        except (TrainingError, SpecError) as error:
            return Tried(candidate, problem=error.detail)
        threshold = choose_threshold(spec, self.rows.y, scores)
        metrics = training.by_fold(spec, self.rows.y, scores, self.folds, threshold)
        return Tried(candidate, metrics, round(time.perf_counter() - start, 3), scores)

    def ranked(self, tried: Sequence[Tried]) -> list[Tried]:
        """Return the best first; what could not be fitted comes last."""
        sign = 1.0 if self.metric in ERRORS else -1.0

        def place(one: Tried) -> float:
            value = one.value(self.metric)
            return np.inf if value is None else sign * value

        return sorted(tried, key=place)


def with_candidate(spec: Spec, candidate: Candidate) -> Spec:
    """Return the spec with the candidate's pipeline; its own stays as it is."""
    if candidate.name == OWN:
        return spec
    return msgspec.structs.replace(spec, pipeline=candidate.pipeline, parameters=dict(candidate.parameters))


def grid(spec: Spec, entries: Sequence[Mapping[str, Any]] = GRID) -> list[Candidate]:
    """Return a candidate for each combination of values of each entry.

    An entry has ``model``: ``spec`` (the spec's own pipeline), a name in
    ``model.preprocessing.alternatives``, or ``package.module:function``; all else are parameters, a list
    of values or one.

    Raises
    ------
    SpecError
        If an entry names no model.

    >>> from model.spec import Spec
    >>> [one.text for one in grid(None, [{"model": "linear", "regularisation": [1, 10]}])]
    ['linear (regularisation=1)', 'linear (regularisation=10)']
    """
    found: list[Candidate] = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("model"), str):
            known = ", ".join([OWN, *SPACE])
            raise SpecError(f"Entry {number} of the grid needs a model: {known}, or package.module:function.")
        found.extend(_combinations(spec, dict(entry)))
    return found


def _combinations(spec: Spec, entry: dict[str, Any]) -> Iterator[Candidate]:
    name = entry.pop("model")
    lists = [value if isinstance(value, list) else [value] for value in entry.values()]
    for values in itertools.product(*lists):
        yield _candidate(spec, name, dict(zip(entry, values, strict=True)))


def _candidate(spec: Spec, name: str, parameters: Mapping[str, Any]) -> Candidate:
    if name == OWN:
        return Candidate(OWN, spec.pipeline, spec.parameters)
    if ":" not in name and name not in SPACE:
        raise SpecError(
            f"{name!r} is none of {', '.join([OWN, *SPACE])}; another is written package.module:function."
        )
    return Candidate(name, name if ":" in name else f"{ALTERNATIVES}:{name}", parameters)


def run(bench: Bench, candidates: Sequence[Candidate], on_step: Step | None = None) -> list[Tried]:
    """Try all candidates; returns them ranked, the best first."""
    tried = []
    for number, candidate in enumerate(candidates):
        if on_step:
            on_step(candidate.text, number, len(candidates))
        tried.append(bench.attempt(candidate))
    return bench.ranked(tried)


def search(
    spec: Spec, table: pd.DataFrame | Bench, n_trials: int, on_step: Step | None = None
) -> list[Tried]:
    """Try the spec's own pipeline and then what a search proposes; returns them ranked.

    Raises
    ------
    UnavailableError
        If Optuna is not installed here.
    """
    bench = table if isinstance(table, Bench) else Bench(spec, table)
    study = _study(is_error=bench.metric in ERRORS)
    tried = [bench.attempt(_candidate(bench.spec, OWN, {}))]
    for number in range(n_trials):
        trial = study.ask()
        candidate = _suggested(bench.spec, trial)
        if on_step:
            on_step(candidate.text, number, n_trials)
        tried.append(bench.attempt(candidate))
        _tell(study, trial, tried[-1].value(bench.metric))
    return bench.ranked(tried)


def _optuna() -> Any:
    try:
        return importlib.import_module("optuna")
    except ImportError:
        raise UnavailableError(
            "A search needs Optuna, which is not installed here: pip install -r requirements-local.txt."
            " A grid needs nothing."
        ) from None


def _study(*, is_error: bool) -> Any:
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = "minimize" if is_error else "maximize"
    return optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=SEED))


def _tell(study: Any, trial: Any, value: float | None) -> None:
    if value is None:
        study.tell(trial, state=_optuna().trial.TrialState.FAIL)
    else:
        study.tell(trial, value)


def _suggested(spec: Spec, trial: Any) -> Candidate:
    name = trial.suggest_categorical("model", list(SPACE))
    values = {key: _value(trial, f"{name}.{key}", *bounds) for key, bounds in SPACE[name].items()}
    return _candidate(spec, name, values)


def _value(trial: Any, name: str, low: float, high: float, is_factor: bool) -> float:
    suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
    found: float = suggest(name, low, high, log=is_factor)
    return found


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
