"""May a challenger take over? Both score the same held-out rows, and the gain must be more than chance.

The gain is the difference of one metric, signed so that more is better. The challenger passes when

1. the lower end of the gain's interval lies above ``-margin``. The interval comes from a paired bootstrap:
   rows are drawn with replacement and both sides are measured on the same draw, so what makes rows hard for
   both cancels (Efron and Tibshirani 1993);
2. the gain is positive, and chance gives as much in ``MAX_CHANCE`` of cases at most: were both sides equal,
   it would not matter whose answer to a row counts for whom, so answers are swapped at random, row by row,
   and the gain is measured again (Good 2005, *Permutation, Parametric and Bootstrap Tests of Hypotheses*; for
   ranks Venkatraman and Begg 1996).

3. on no slice (those of the spec, and the labelled predictions) it is worse: a loss above ``margin`` that
   random swaps give in ``SLICE_CHANCE`` of cases at most.

"Better on the point" alone would let every second equal challenger pass, and on few rows the interval is too
narrow where the sides differ in a handful of answers; the swaps are exact there. Pure: no store, no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.answer import Judge
from model.evaluation import ERRORS, Metrics, evaluate, selected
from model.resampling import Interval, flips, metric_of, percentiles, resampled
from model.spec import Promotion, Spec

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Verdict = Literal["better", "not better", "worse on slices", "too few rows", "not comparable", "no champion"]

# Below, the percentile interval is too narrow to be one.
MIN_HELD_OUT = 30
# Retraining is done again and again: one in twenty would make champions churn.
MAX_CHANCE = 0.01
# Harm to a few is looked for harder than gain for all is believed.
SLICE_CHANCE = 0.05
ROUNDING = 1e-12
RANKED = frozenset({"roc_auc", "average_precision"})


@dataclass(frozen=True, slots=True)
class Side:
    """One version's scores of the held-out rows, in the challenger's order of classes."""

    scores: Floats
    threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class OnSlice:
    """What the gate saw on one slice; ``is_worse`` None where its rows are too few or tell nothing."""

    n_held_out: int
    champion: float | None
    challenger: float | None
    chance: float | None = None
    is_worse: bool | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says.

    Attributes
    ----------
    metric : str
        The metric that decides.
    gain, low, high : float or None
        The challenger's gain in it, more is better, and the interval of ``level``.
    chance : float or None
        How often equal sides would show such a gain.
    champion, challenger : dict
        All metrics of the two sides on the held-out rows.
    slices : dict of str to OnSlice
        The metric on parts of these rows.
    """

    verdict: Verdict
    metric: str
    level: float
    margin: float
    n_held_out: int
    challenger: Metrics
    champion: Metrics | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    slices: Mapping[str, OnSlice] = field(default_factory=dict)

    @property
    def has_passed(self) -> bool:
        """Whether the challenger may take over."""
        return self.verdict in ("better", "no champion")

    @property
    def sentence(self) -> str:
        """The decision in words."""
        if self.verdict == "no champion":
            return "There was no champion."
        if self.verdict == "too few rows":
            return f"{self.n_held_out} held-out rows are too few to tell; {MIN_HELD_OUT} are needed."
        if self.verdict == "not comparable" or self.gain is None:
            return f"The two cannot be compared by {self.metric} on these rows."
        interval = (
            "" if self.low is None else f", {self.level:.0%} interval {self.low:+.4g} to {self.high:+.4g}"
        )
        return (
            f"{self.verdict.capitalize()}: gain in {self.metric} {self.gain:+.4g}{interval},"
            f" on {self.n_held_out} held-out rows (margin {self.margin:g}); {self._chance_text}."
            f"{self._harmed}"
        )

    @property
    def _harmed(self) -> str:
        worse = [name for name, one in self.slices.items() if one.is_worse]
        return f" Worse on: {', '.join(worse)}." if worse else ""

    @property
    def _chance_text(self) -> str:
        return "" if self.chance is None else f"by chance with probability {self.chance:.3g}"


def deciding_metric(spec: Spec) -> str:
    """Return the metric that decides: the promotion's, else the first of the (resolved) spec."""
    return spec.promotion.metric or next(iter(spec.metrics), "")


def decide(
    spec: Spec,
    y_true: NDArray[Any],
    challenger: Side,
    champion: Side | None,
    slices: Mapping[str, Flags] | None = None,
) -> Decision:
    """Compare two versions on rows that neither was fitted on.

    Parameters
    ----------
    spec : Spec
        The challenger's, resolved.
    y_true : ndarray of shape (n_rows,)
        Positions of the classes, or values.
    challenger, champion : Side
        Their scores of these rows; champion None where there is none that could score them.
    slices : mapping of str to ndarray of shape (n_rows,), optional
        Parts of the rows on which the challenger must not be worse.
    """
    rule, metric = spec.promotion, deciding_metric(spec)
    new = evaluate(spec, y_true, challenger.scores, challenger.threshold)
    shown = selected(spec, new)
    head: Any = {"metric": metric, "level": rule.level, "margin": rule.margin, "n_held_out": len(y_true)}
    if champion is None:
        return Decision("no champion", challenger=shown, **head)
    old = evaluate(spec, y_true, champion.scores, champion.threshold)
    head |= {"challenger": shown, "champion": selected(spec, old)}
    gain = _gain(metric, new[metric], old[metric])
    if gain is None:
        return Decision("not comparable", **head)
    interval = gain_interval(spec, y_true, challenger, champion)
    chance = chance_of(gain, spec, y_true, challenger, champion)
    head |= {"gain": gain, "low": interval.low, "high": interval.high, "chance": chance}
    parts = {name: _on_slice(spec, y_true, here, challenger, champion)
             for name, here in (slices or {}).items()}  # fmt: skip
    verdict = _verdict(interval, chance, rule, len(y_true))
    if verdict == "better" and any(part.is_worse for part in parts.values()):
        verdict = "worse on slices"
    return Decision(verdict, **head, slices=parts)


def _on_slice(spec: Spec, y_true: NDArray[Any], here: Flags, challenger: Side, champion: Side) -> OnSlice:
    """Judge one slice: its loss, and how often equal sides would show such a loss."""
    metric, y = deciding_metric(spec), y_true[here]
    new, old = (Side(side.scores[here], side.threshold) for side in (challenger, champion))
    ours, theirs = (_value(spec, metric, y, side) for side in (new, old))
    gain = _gain(metric, ours, theirs)
    if len(y) < MIN_HELD_OUT or gain is None:
        return OnSlice(len(y), theirs, ours)
    chance = chance_of(-gain, spec, y, old, new)
    is_worse = -gain > spec.promotion.margin and chance <= SLICE_CHANCE
    return OnSlice(len(y), theirs, ours, chance, is_worse)


def _value(spec: Spec, metric: str, y_true: NDArray[Any], side: Side) -> float | None:
    return evaluate(spec, y_true, side.scores, side.threshold)[metric] if len(y_true) else None


def incomparable(spec: Spec, y_true: NDArray[Any], challenger: Side) -> Decision:
    """Return the decision where the champion cannot score these rows."""
    new = selected(spec, evaluate(spec, y_true, challenger.scores, challenger.threshold))
    rule = spec.promotion
    return Decision(
        "not comparable", deciding_metric(spec), rule.level, rule.margin, len(y_true), challenger=new
    )


def _verdict(interval: Interval, chance: float, rule: Promotion, n_rows: int) -> Verdict:
    if n_rows < MIN_HELD_OUT:
        return "too few rows"
    if interval.low is None:
        return "not comparable"
    return "better" if chance <= MAX_CHANCE and interval.low > -rule.margin else "not better"


def _gain(metric: str, new: float | None, old: float | None) -> float | None:
    if new is None or old is None:
        return None
    return old - new if metric in ERRORS else new - old


def gain_interval(spec: Spec, y_true: NDArray[Any], challenger: Side, champion: Side) -> Interval:
    """Return the interval of the challenger's gain, by the paired bootstrap."""
    metric = deciding_metric(spec)
    new, old = (
        metric_of(spec, metric, y_true, side.scores, side.threshold) for side in (challenger, champion)
    )
    sign = -1.0 if metric in ERRORS else 1.0
    gains = resampled(lambda counts: sign * (new(counts) - old(counts)), len(y_true))
    return percentiles(gains, spec.promotion.level)


def chance_of(gain: float, spec: Spec, y_true: NDArray[Any], challenger: Side, champion: Side) -> float:
    """Return the share of random swaps of the two sides' answers that gain as much, in (0, 1]."""
    metric, n_rows = deciding_metric(spec), len(y_true)
    sides = [_exchangeable(spec, metric, side) for side in (challenger, champion)]
    both = metric_of(spec, metric, np.concatenate([y_true, y_true]), np.concatenate(sides))
    sign = -1.0 if metric in ERRORS else 1.0

    def swapped(is_swapped: Floats) -> Floats:
        kept = 1.0 - is_swapped
        return sign * (both(np.hstack([kept, is_swapped])) - both(np.hstack([is_swapped, kept])))

    gains = np.concatenate([swapped(coins) for coins in flips(n_rows)])
    n_as_large = int(np.count_nonzero(gains >= gain - ROUNDING))
    return (1 + n_as_large) / (1 + len(gains))


def _exchangeable(spec: Spec, metric: str, side: Side) -> Floats:
    """Return scores that may change sides: ranks where only the order counts, else the class answered."""
    if spec.task == "regression" or metric == "brier":
        return side.scores
    if metric in RANKED:
        from scipy.stats import rankdata  # the clock knows this module and seldom needs it

        ranks = rankdata(side.scores, axis=0) / len(side.scores)
        return np.asarray(ranks, dtype=np.float64)
    return np.eye(side.scores.shape[1])[Judge(spec, side.threshold).chosen(side.scores)]
