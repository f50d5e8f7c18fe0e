"""Quality of one version on rows of production: expected without labels, realised with them, and the gap.

Pure functions over arrays: no store, no clock. Heavy (evaluation).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.evaluation import ERRORS, evaluate, selected
from model.expectation import Expectation
from model.resampling import N_RESAMPLES, SEED, metric_of, percentiles, resampled
from model.spec import Spec

Floats = NDArray[np.float64]

LEVEL = 0.95
N_BINS = 10
N_THRESHOLDS = 100
ROUNDING = 1e-9  # 0.29 x 100 is a little less than 29
# Errors are counted in steps of a quarter of the usual error, up to four times that on each side.
UNITS, STEPS_A_UNIT = 4, 4
# A month has thirty windows and several looks at each: one in a thousand a look.
MAX_CHANCE = 0.001
# Smaller gaps do not matter: in a metric from 0 to 1, and as a share of an error.
MIN_GAP, MIN_GAP_SHARE = 0.03, 0.1
N_SIMULATED = 2_000
COUNTED = ("accuracy", "precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class Answers:
    """Logged answers of one version.

    Attributes
    ----------
    chosen : ndarray of shape (n_rows,)
        Position of the class that was answered, or the predicted value.
    probability : ndarray of shape (n_rows,) or None
        Of the positive of two classes, else of the class that was answered.
    y_true : ndarray of shape (n_rows,)
        Position of the true class, or the true value; NaN where there is no label yet.
    """

    chosen: Floats
    probability: Floats | None
    y_true: Floats

    def labelled(self) -> "Answers":
        """Return the rows that have a label."""
        there = np.isfinite(self.y_true)
        probability = None if self.probability is None else self.probability[there]
        return Answers(self.chosen[there], probability, self.y_true[there])

    def __len__(self) -> int:
        return len(self.chosen)


@dataclass(frozen=True)
class Measured:
    """Realised quality.

    ``metrics`` has for each metric ``value``, ``low`` and ``high`` (95 %); ``confusion`` the labelled rows by
    true and answered class; ``calibration`` mean probability and share of positives in ten bins; ``scores``
    (two classes) the positive and negative rows by their probability, a count from each hundredth on, 0 to 1.

    Of a regression, ``bias`` is the mean error, ``residuals`` the errors (answer minus truth) counted between
    ``edges``, the first and last count being open, and ``by_answer`` the errors of ten groups of rows by
    their answer: its mean, and of the errors the middle and the ends of the middle 80 %.
    """

    n_rows: int
    metrics: dict[str, dict[str, float | None]]
    confusion: list[list[int]] | None = None
    calibration: list[dict[str, float]] | None = None
    scores: dict[str, list[int]] | None = None
    bias: float | None = None
    residuals: dict[str, list[float]] | None = None
    by_answer: list[dict[str, float]] | None = None


@dataclass(frozen=True)
class Expected:
    """Quality to be expected without labels: for each metric its mean ``value`` and 95 % ends."""

    n_rows: int
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """Realised against estimated quality on the same labelled rows; ``is_drift``: it is no chance."""

    metric: str
    realised: float
    estimated: float
    chance: float
    is_drift: bool


def measure(spec: Spec, answers: Answers, threshold: float, usual_error: float | None = None) -> Measured:
    """Measure answers by their labels.

    Parameters
    ----------
    spec : Spec
        The version's, resolved.
    answers : Answers
        Any rows; those without a label are left out.
    threshold : float
        The version's.
    usual_error : float, optional
        Of a regression, in the target's unit: the scale on which errors are counted, so that the counts of
        windows with the same one can be added. By default the mean absolute error of these rows.
    """
    rows = answers.labelled()
    if not len(rows):
        return Measured(0, {})
    y, scores = _codes(spec, rows.y_true), _scores(spec, rows)
    found = selected(spec, evaluate(spec, y, scores, threshold))
    names = [name for name in found if spec.task == "regression" or _is_known(spec, name)]
    metrics: dict[str, dict[str, float | None]] = {}
    for name in names:
        ends = percentiles(resampled(metric_of(spec, name, y, scores, threshold), len(rows)), LEVEL)
        metrics[name] = {"value": found[name], "low": ends.low, "high": ends.high}
    if spec.task == "regression":
        errors = rows.chosen - rows.y_true
        return Measured(
            len(rows),
            metrics,
            bias=float(errors.mean()),
            residuals=_residuals(errors, usual_error),
            by_answer=_by_answer(rows.chosen, errors),
        )
    return Measured(
        len(rows), metrics, _confusion(spec, rows), _calibration(spec, rows), _score_counts(spec, rows)
    )


def _is_known(spec: Spec, metric: str) -> bool:
    """Of more than two classes the log has only the probability of the answer."""
    return spec.positive_index is not None or metric in COUNTED


def _codes(spec: Spec, y_true: Floats) -> NDArray[Any]:
    return y_true if spec.task == "regression" else y_true.astype(np.int64)


def _scores(spec: Spec, rows: Answers) -> Floats:
    if spec.task == "regression":
        return rows.chosen
    positive = spec.positive_index
    if positive is None or rows.probability is None:
        return np.eye(len(spec.labels))[rows.chosen.astype(np.int64)]
    scores = np.empty((len(rows), 2))
    scores[:, positive], scores[:, 1 - positive] = rows.probability, 1 - rows.probability
    return scores


def _confusion(spec: Spec, rows: Answers) -> list[list[int]]:
    n = len(spec.labels)
    cells = np.bincount((rows.y_true * n + rows.chosen).astype(np.int64), minlength=n * n)
    return [[int(count) for count in row] for row in cells.reshape(n, n)]


def _calibration(spec: Spec, rows: Answers) -> list[dict[str, float]] | None:
    if rows.probability is None:
        return None
    expected = rows.chosen if spec.positive_index is None else spec.positive_index
    is_positive = rows.y_true == expected
    bins = np.minimum((rows.probability * N_BINS).astype(int), N_BINS - 1)
    return [
        {
            "n_rows": int((bins == one).sum()),
            "probability": float(rows.probability[bins == one].mean()),
            "share": float(is_positive[bins == one].mean()),
        }
        for one in np.unique(bins)
    ]


def _score_counts(spec: Spec, rows: Answers) -> dict[str, list[int]] | None:
    """Count positive and negative rows by their probability; None where there is no positive class."""
    if spec.positive_index is None or rows.probability is None:
        return None
    is_positive = rows.y_true == spec.positive_index
    bins = (rows.probability * N_THRESHOLDS + ROUNDING).astype(int)  # that of 1 has the last one to itself
    sides = {"positive": bins[is_positive], "negative": bins[~is_positive]}
    return {name: np.bincount(one, minlength=N_THRESHOLDS + 1).tolist() for name, one in sides.items()}


def _residuals(errors: Floats, usual_error: float | None) -> dict[str, list[float]]:
    unit = usual_error or float(np.abs(errors).mean()) or 1.0
    edges = np.linspace(-UNITS * unit, UNITS * unit, 2 * UNITS * STEPS_A_UNIT + 1)
    counts = np.bincount(np.searchsorted(edges, errors, side="right"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _by_answer(chosen: Floats, errors: Floats) -> list[dict[str, float]]:
    found = []
    for group in np.array_split(np.argsort(chosen, kind="stable"), min(N_BINS, len(chosen))):
        low, middle, high = np.quantile(errors[group], [0.1, 0.5, 0.9]).tolist()
        head = {"n_rows": len(group), "answer": float(chosen[group].mean())}
        found.append({**head, "low": low, "middle": middle, "high": high})
    return found


def expect(
    spec: Spec, answers: Answers, threshold: float, expectation: Expectation | None
) -> Expected | None:
    """Estimate the quality of answers without looking at labels; None where the version has no estimate."""
    if expectation is None or not len(answers):
        return None
    if expectation.kind == "loss":
        squared, absolute = expectation.losses(answers.chosen)
        means = {"rmse": float(np.sqrt(squared.mean())), "mae": float(absolute.mean())}
        return Expected(len(answers), {n: {"value": v, "low": None, "high": None} for n, v in means.items()})
    names = selected(spec, dict.fromkeys((*COUNTED, "roc_auc", "average_precision", "brier")))
    names = {name: None for name in names if _is_known(spec, name)}
    metrics: dict[str, dict[str, float | None]] = {}
    for name in names:
        simulated = _simulated(spec, name, answers, threshold, expectation, n=200)
        ends = percentiles(simulated, LEVEL)
        metrics[name] = {"value": _mean(simulated), "low": ends.low, "high": ends.high}
    return Expected(len(answers), metrics)


def _mean(values: Floats) -> float | None:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else None


def _simulated(
    spec: Spec, metric: str, rows: Answers, threshold: float, expectation: Expectation, n: int
) -> Floats:
    """Return the metric for labels drawn by the calibrated probabilities, shape (n,)."""
    assert rows.probability is not None  # noqa: S101  classes always have one
    ends = expectation.chances(rows.chosen, rows.probability, spec.positive_index).cumsum(axis=1)[:, :-1]
    n_classes = ends.shape[1] + 1
    # Each row stands there once for each class; a draw says which of them counts.
    y = np.repeat(np.arange(n_classes), len(rows))
    each = metric_of(spec, metric, y, np.tile(_scores(spec, rows), (n_classes, 1)), threshold)
    rng = np.random.default_rng(SEED)
    at_once = max(1, 4_000_000 // (n_classes * len(rows)))
    parts = []
    for start in range(0, n, at_once):
        chance = rng.random((min(at_once, n - start), len(rows)))
        drawn = sum((chance >= end).astype(np.int8) for end in ends.T)
        parts.append(each(np.hstack([drawn == k for k in range(n_classes)]).astype(np.float64)))
    return np.concatenate(parts)


def gap(
    spec: Spec, metric: str, answers: Answers, threshold: float, expectation: Expectation | None
) -> Gap | None:
    """Compare the realised with the estimated metric on the labelled rows; None where there is no estimate.

    Classes: labels are drawn by the calibrated probabilities again and again; ``chance`` is how often the
    drawn ones make the answers look as bad as the real ones. Regression: ``chance`` is the share of
    bootstrap resamples in which the realised error is not above the estimated one.
    """
    rows = answers.labelled()
    if expectation is None or not len(rows):
        return None
    y, scores = _codes(spec, rows.y_true), _scores(spec, rows)
    realised = evaluate(spec, y, scores, threshold).get(metric)
    if realised is None:
        return None
    if expectation.kind == "loss":
        return _loss_gap(spec, metric, rows, realised, expectation)
    simulated = _simulated(spec, metric, rows, threshold, expectation, N_SIMULATED)
    simulated = simulated[np.isfinite(simulated)]
    if not len(simulated):
        return None
    worse = simulated >= realised if metric in ERRORS else simulated <= realised
    return _judged(metric, realised, float(simulated.mean()), (1 + int(worse.sum())) / (1 + len(simulated)))


def _loss_gap(
    spec: Spec, metric: str, rows: Answers, realised: float, expectation: Expectation
) -> Gap | None:
    squared, absolute = expectation.losses(rows.chosen)
    estimated = {"rmse": float(np.sqrt(squared.mean())), "mae": float(absolute.mean())}.get(metric)
    if estimated is None:
        return None
    values = resampled(metric_of(spec, metric, rows.y_true, rows.chosen), len(rows), 2 * N_RESAMPLES)
    return _judged(metric, realised, estimated, (1 + int((values <= estimated).sum())) / (1 + len(values)))


def _judged(metric: str, realised: float, estimated: float, chance: float) -> Gap:
    size = abs(realised - estimated)
    smallest = MIN_GAP_SHARE * estimated if metric in ("rmse", "mae") else MIN_GAP
    return Gap(metric, realised, estimated, chance, chance <= MAX_CHANCE and size >= smallest)


def is_below_training(
    metric: str, found: dict[str, float | None], training: float | None, n_labelled: int, n_held_out: int
) -> bool:
    """Tell whether a metric is worse than at training by more than chance.

    The interval's width gives the standard error here; that of the held-out rows at training follows from
    their number. One-sided, at ``MAX_CHANCE``.
    """
    value, low, high = (found.get(name) for name in ("value", "low", "high"))
    if value is None or low is None or high is None or training is None:
        return False
    error = (high - low) / (2 * 1.96) * float(np.sqrt(1 + n_labelled / max(n_held_out, 1)))
    worse_by = value - training if metric in ERRORS else training - value
    return worse_by > 3.09 * error and worse_by > 0
