"""Transformers of our own: what scikit-learn lacks and a pipeline of ours needs.

Each is stateless or learns in ``fit``, names its outputs, survives ``clone`` and pickling, and says by
``to_onnx`` how it is written as a graph (see ``model.compiling.registry``). Missing values stay missing.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:  # compiling imports onnx, which training can do without
    from model.compiling.graph import Graph
    from model.compiling.tables import Table

Floats = NDArray[np.float64]

# Shift and length, in days: 1970-01-01 was a Thursday, and began a year and a day.
_CYCLES = ((3.0, 7.0), (0.0, 365.2425), (0.0, 1.0))


class Numeric(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Checks that are the same for all: float64 in two dimensions, missing values allowed."""

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Remember names and number of the columns; nothing else is learnt."""
        self._checked(X, is_new=True)
        return self

    def _checked(self, X: ArrayLike, *, is_new: bool = False) -> Floats:
        if not is_new:
            check_is_fitted(self, "n_features_in_")
        table: Floats = validate_data(self, X, reset=is_new, dtype=np.float64, ensure_all_finite="allow-nan")
        return table

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _more_names(self, names: Iterable[str] | None, suffixes: list[str]) -> NDArray[np.object_]:
        columns = column_names(self, names)
        return np.array([f"{column}_{suffix}" for column in columns for suffix in suffixes], dtype=object)


def column_names(step: Any, names: Iterable[str] | None) -> list[str]:
    """Return the names of a fitted transformer's columns: as given, as fitted, or ``x0``, ``x1``, ..."""
    if names is not None:
        return list(names)
    return list(getattr(step, "feature_names_in_", [f"x{i}" for i in range(step.n_features_in_)]))


class FoldedTempo(OneToOneFeatureMixin, Numeric):  # type: ignore[misc]  # scikit-learn ships no types
    """Beats per minute folded into one octave, ``low`` to ``2 * low``.

    Beat trackers confuse a tempo with its double or half; a track counted at 180 and one at 90 are alike.

    Parameters
    ----------
    low : float, default=66
        Slowest tempo of the octave, in beats per minute.
    octaves : int, default=3
        How often a tempo is halved or doubled at most. 0 (unknown) stays 0.
    """

    def __init__(self, low: float = 66.0, octaves: int = 3) -> None:
        self.low = low
        self.octaves = octaves

    def transform(self, X: ArrayLike) -> Floats:
        """Return tempos of the same shape as ``X``."""
        tempo = self._checked(X)
        for _ in range(self.octaves):
            tempo = np.where(tempo >= 2 * self.low, tempo / 2, tempo)
            tempo = np.where((tempo > 0) & (tempo < self.low), tempo * 2, tempo)
        return tempo

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Write the same halvings and doublings, exact in binary."""
        tempo, zero = graph.matrix(table), graph.row([0.0])
        low, high, two = graph.row([self.low]), graph.row([2 * self.low]), graph.row([2.0])
        for _ in range(self.octaves):
            is_high = graph.node("GreaterOrEqual", tempo, high)
            tempo = graph.node("Where", is_high, graph.node("Div", tempo, two), tempo)
            is_low = graph.node("And", graph.node("Greater", tempo, zero), graph.node("Less", tempo, low))
            tempo = graph.node("Where", is_low, graph.node("Mul", tempo, two), tempo)
        return graph.like(tempo, table)


class Cyclic(Numeric):
    """Sine and cosine of values that go round, such as the key of a track: B is next to C.

    Parameters
    ----------
    period : float, default=12
        Length of one round, in the unit of the column.
    """

    def __init__(self, period: float = 12.0) -> None:
        self.period = period

    def transform(self, X: ArrayLike) -> Floats:
        """Return ``sin`` and ``cos`` of each column, shape (n_rows, 2 * n_columns)."""
        angle = self._checked(X) * (2 * np.pi / self.period)
        return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(angle), -1)

    def get_feature_names_out(self, input_features: Iterable[str] | None = None) -> NDArray[np.object_]:
        """Return names such as ``key_sin`` and ``key_cos``."""
        return self._more_names(input_features, ["sin", "cos"])

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Write the same angles; the last bits of a sine differ between libraries."""
        twice = table.select(i for i in range(table.n_columns) for _ in range(2))
        angle = graph.node("Mul", graph.matrix(twice), graph.row([2 * np.pi / self.period]))
        # A cosine is a sine a quarter round later.
        shift = graph.row([0.0, np.pi / 2] * table.n_columns)
        wave = graph.node("Sin", graph.node("Add", angle, shift))
        return graph.like(wave, twice, blur=2 * np.pi * 8)


class DateParts(Numeric):
    """Days since 1970-01-01 as the day itself, the weekday, and the places in the year and in the day.

    The weekday runs from 0 on Monday to 7, the place in the year from 0 on January 1st to 365.2425, that in
    the day from 0 to 1.
    """

    def transform(self, X: ArrayLike) -> Floats:
        """Return four columns for each of ``X``."""
        days = self._checked(X)
        parts = [days, *(_rest(days + shift, period) for shift, period in _CYCLES)]
        return np.stack(parts, axis=2).reshape(len(days), -1)

    def get_feature_names_out(self, input_features: Iterable[str] | None = None) -> NDArray[np.object_]:
        """Return names such as ``released_weekday``."""
        return self._more_names(input_features, ["days", "weekday", "yearday", "daytime"])

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Write the same remainders; a day is the rest of an endless period."""
        cycles = [(0.0, np.inf), *_CYCLES]
        wide = table.select(i for i in range(table.n_columns) for _ in cycles)
        shifts, periods = (graph.row([cycle[i] for cycle in cycles] * table.n_columns) for i in (0, 1))
        days = graph.node("Add", graph.matrix(wide), shifts)
        rounds = graph.node("Floor", graph.node("Div", days, periods))
        rest = graph.node("Sub", days, graph.node("Mul", rounds, periods))
        is_cycle = graph.constant([[np.isfinite(period) for _, period in cycles] * table.n_columns], np.bool_)
        return graph.like(graph.node("Where", is_cycle, rest, days), wide)


class HatBasis(Numeric):
    """Each column as weights of its knots: the basis of curves that are straight between knots.

    The knots are quantiles of the training rows. At a knot its weight is 1 and all others are 0; beyond the
    last knots the curve stays level, so a wild value cannot move a linear model far. These are B-splines of
    degree one (de Boor 2001, "A Practical Guide to Splines", chapter IX).

    Parameters
    ----------
    n_knots : int, default=6
        Quantiles taken; equal ones count once.
    """

    def __init__(self, n_knots: int = 6) -> None:
        self.n_knots = n_knots

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn the knots of each column; a column of one value, or none, gets one knot."""
        levels = np.linspace(0, 1, self.n_knots)
        table = self._checked(X, is_new=True)
        self.knots_ = [_knots(column[~np.isnan(column)], levels) for column in table.T]
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Return the weights, shape (n_rows, number of all knots); each column's sum to 1."""
        table = self._checked(X)
        return np.hstack([_hats(table[:, [i]], knots) for i, knots in enumerate(self.knots_)])

    def get_feature_names_out(self, input_features: Iterable[str] | None = None) -> NDArray[np.object_]:
        """Return names such as ``tempo_0``, one a knot."""
        names = self._more_names(input_features, [""])
        counts = [len(knots) for knots in self.knots_]
        pairs = zip(names, counts, strict=True)
        return np.array([f"{name}{i}" for name, count in pairs for i in range(count)], dtype=object)

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Write all ramps of all columns at once, and their differences as one product with ones."""
        graph.refuse_missing(table)
        ramp_of = [i for i, knots in enumerate(self.knots_) for _ in knots[1:]]
        steps, first = self._steps()
        if not ramp_of:  # only columns of one knot
            ones = graph.matrix(graph.ones())
            return graph.table(graph.node("Mul", ones, graph.row(first)), len(first))
        starts = graph.row(np.concatenate([knots[:-1] for knots in self.knots_]))
        runs = graph.row(np.concatenate([np.diff(knots) for knots in self.knots_]))
        run = graph.node("Div", graph.node("Sub", graph.matrix(table.select(ramp_of)), starts), runs)
        ramps = graph.node("Min", graph.node("Max", run, graph.row([0.0])), graph.row([1.0]))
        return graph.table(
            graph.node("Gemm", ramps, graph.constant(steps), graph.row(first)), len(first), blur=1.0
        )

    def _steps(self) -> tuple[Floats, Floats]:
        """Return how ramps make hats: each ends one (-1) and begins the next (+1); the first starts at 1."""
        counts = [len(knots) for knots in self.knots_]
        starts = np.cumsum([0, *counts[:-1]])
        ends = [start + j for start, count in zip(starts, counts, strict=True) for j in range(count - 1)]
        steps = np.zeros((len(ends), sum(counts)))
        steps[np.arange(len(ends)), ends] = -1.0
        steps[np.arange(len(ends)), np.asarray(ends, dtype=int) + 1] = 1.0
        first = np.zeros(sum(counts))
        first[starts] = 1.0
        return steps, first


def _knots(present: Floats, levels: Floats) -> Floats:
    return np.unique(np.quantile(present, levels)) if len(present) else np.zeros(1)


def _hats(column: Floats, knots: Floats) -> Floats:
    """Weights of the knots for a column of shape (n_rows, 1): differences of neighbouring ramps."""
    ramps = np.clip((column - knots[:-1]) / np.diff(knots), 0.0, 1.0)
    first = np.where(np.isnan(column), np.nan, 1.0)
    return np.asarray(np.hstack([first, ramps]) - np.hstack([ramps, first - 1.0]), dtype=np.float64)


def _rest(days: Floats, period: float) -> Floats:
    """Remainder in steps that a graph has too, each with the same bits; numpy's own differs in the last."""
    return days - np.floor(days / period) * period
