"""How to decide: the settings of a drift check, and the windows it is made over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from model.monitoring.reference import ModelCounts
from model.monitoring.stacked import Stacked

PolicyName = Literal["margin", "holm", "benjamini_hochberg", "ks_pvalue"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of a drift check.

    Parameters
    ----------
    name : str
        ``margin``: few false alarms a month however often one looks, for standing watch. ``holm``: one
        question, asked once. ``benjamini_hochberg``: false discovery rate with a minimum effect.
        ``ks_pvalue``: each feature's p-value below ``p_threshold``, without correction.
    alpha : float
        Chance, in (0, 1), of any false alarm: of a model in a month (margin) or in one check (holm, bh).
    delta : float
        Practical size, in [0, 1): shares of requests that sit elsewhere below which nothing is an alarm.
        ``deltas`` overrides it by feature name.
    quality_delta : float
        The same for rates of missing, unseen, faulty and out-of-range values.
    min_rows : int
        Windows with fewer values have the verdict "insufficient_data".
    periods_per_month : int
        720 for hourly periods, 30 for daily ones.
    looks_per_period : int
        How often the newest, still growing period may be looked at. Looks at closed ones are free.
    min_periods : int
        Shortest window to judge; a day's periods where values follow a daily cycle.
    n_references : int
        How many references take turns in a month, such as 168 if each hour of the week has its own.
    design_effects : mapping of feature name to float, at least 1
        How many rows tell as much as one independent row (see ``dependence``).
    """

    name: PolicyName = "margin"
    alpha: float = 0.05
    delta: float = 0.03
    deltas: Mapping[str, float] = field(default_factory=dict)
    quality_delta: float = 0.01
    min_rows: int = 30
    p_threshold: float = 0.045
    periods_per_month: int = 720
    looks_per_period: int = 1
    min_periods: int = 1
    n_references: int = 1
    design_effects: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or not 0 < self.p_threshold < 1:
            raise ValueError("alpha and p_threshold must lie between 0 and 1")
        numbers = (self.min_rows, self.periods_per_month, self.looks_per_period, self.min_periods)
        if min(*numbers, self.n_references) < 1:
            raise ValueError("min_rows, periods, looks and min_periods must be at least 1")
        if not all(effect >= 1 for effect in self.design_effects.values()):
            raise ValueError("a design effect is at least 1")

    def delta_of(self, feature: str) -> float:
        """Return the practical size for one feature."""
        return self.deltas.get(feature, self.delta)

    def parameters(self) -> dict[str, Any]:
        """Return what a report must say about how it was decided."""
        common = {"policy": self.name, "min_rows": self.min_rows}
        if self.name == "ks_pvalue":
            return common | {"p_threshold": self.p_threshold}
        sizes = {"alpha": self.alpha, "delta": self.delta, "deltas": dict(self.deltas)}
        if self.name != "margin":
            return common | sizes
        extra = {
            "quality_delta": self.quality_delta,
            "periods_per_month": self.periods_per_month,
            "looks_per_period": self.looks_per_period,
            "min_periods": self.min_periods,
            "n_references": self.n_references,
            "design_effects": dict(self.design_effects),
        }
        return common | sizes | extra


@dataclass(frozen=True)
class Timeline:
    """Counts of successive periods (hours, days), the newest last.

    Parameters
    ----------
    periods : sequence of ModelCounts
        Without gaps: a period without rows has empty counts. ``margin`` looks at as many of the newest as its
        longest horizon has (a week); the other policies look at all of them as one window.
    last : int
        Number of the newest period, counted from any fixed moment (hours since 1970, say), so that the same
        windows are looked at however often one asks.
    """

    periods: Sequence[ModelCounts]
    last: int = 0

    @cached_property
    def stacked(self) -> Stacked:
        """The same counts, one matrix a part."""
        return Stacked.of(self.periods)

    @staticmethod
    def of(counts: ModelCounts) -> "Timeline":
        """Return the timeline of a single window."""
        return Timeline((counts,))

    def same_phase(self, season: int) -> Sequence[ModelCounts]:
        """Return the earlier periods at the same place in a season, such as the same hour of earlier weeks.

        Their sum makes a reference in which the season is normal:
        ``reference.rebased(reference.total(...))``.
        """
        return self.periods[-1 - season :: -season]
