"""What a check found, ready to be stored, shown and sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Verdict = Literal["ok", "drift", "insufficient_data"]
Check = Literal["distribution", "missing", "unseen", "out_of_range", "type_fault", "agreement", "together"]
Role = Literal["feature", "output", "pair", "segment"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a share changed: in one cell, or in all cells up to it; and whether it rose."""

    cell: int
    is_cumulative: bool
    is_up: bool


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One question about one feature or output, and its answer.

    ``statistic``, ``threshold``, ``n`` (rows of the current window) and ``p_value`` are of the window that
    decided: ``n_periods`` long, and ended ``n_periods_ago`` before the newest one did. The threshold is what
    the statistic must pass or, where ``threshold_on`` says so, what the p-value must stay below; it is the
    one really used. ``m`` is the reference's rows. ``effect`` is the size of the change: KS distance for
    numbers, largest change of a share otherwise. Undefined numbers are None, never NaN.
    """

    feature: str
    role: Role
    check: Check
    statistic_name: str
    statistic: float | None
    threshold: float | None
    threshold_on: Literal["statistic", "p_value"]
    p_value: float | None
    effect: float | None
    n: int
    m: int
    n_periods: int
    n_periods_ago: int
    verdict: Verdict
    sentence: str
    median_reference: float | None = None
    median_current: float | None = None
    since_period: int | None = None
    place: str = ""
    distances: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def is_drift(self) -> bool:
        """Whether this alone is an alarm."""
        return self.verdict == "drift"

    def to_document(self) -> dict[str, Any]:
        """Return a dict of JSON types: the fields, and ``drift``."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return found | {"distances": dict(self.distances), "drift": self.is_drift}


@dataclass(frozen=True, slots=True)
class Touched:
    """How much a feature moved within one segment: ``effect`` is the KS distance over its ``n`` rows."""

    segment: str
    effect: float
    n: int

    def to_document(self) -> dict[str, Any]:
        """Return a dict of JSON types."""
        return {"segment": self.segment, "effect": self.effect, "n": self.n}


@dataclass(frozen=True, slots=True)
class DriftResult:
    """One check of one model: features and outputs, data quality, and how it was decided.

    ``features`` has one entry a feature and output, ``quality`` one for each quality check, ``pairs`` those
    pairs of features whose agreement changed most, and those features that fit the others worst,
    ``segments`` the segments that changed most where the feature as a whole did not. All are sorted: what
    drifted first, then by effect. ``touched`` names for each feature that drifted the segments in which it
    moved most.
    """

    verdict: Verdict
    policy: str
    parameters: Mapping[str, Any]
    n_rows: int
    features: tuple[FeatureDrift, ...]
    quality: tuple[FeatureDrift, ...] = ()
    pairs: tuple[FeatureDrift, ...] = ()
    segments: tuple[FeatureDrift, ...] = ()
    touched: Mapping[str, tuple[Touched, ...]] = field(default_factory=dict)

    @property
    def is_drift(self) -> bool:
        """Whether anything drifted."""
        return self.verdict == "drift"

    @property
    def drifted(self) -> tuple[FeatureDrift, ...]:
        """Everything that drifted, the worst first."""
        return tuple(one for one in self.every if one.is_drift)

    @property
    def every(self) -> tuple[FeatureDrift, ...]:
        """All checks."""
        return (*self.features, *self.quality, *self.pairs, *self.segments)

    def to_document(self) -> dict[str, Any]:
        """Return a dict of JSON types."""
        return {
            "verdict": self.verdict,
            "drift": self.is_drift,
            "policy": self.policy,
            "parameters": dict(self.parameters),
            "n_rows": self.n_rows,
            "drifted": list(dict.fromkeys(one.feature for one in self.drifted)),
            "features": [one.to_document() for one in self.features],
            "quality": [one.to_document() for one in self.quality],
            "pairs": [one.to_document() for one in self.pairs],
            "segments": [one.to_document() for one in self.segments],
        }


def overall(checks: tuple[FeatureDrift, ...]) -> Verdict:
    """Return the verdict of several: drift if one drifted, insufficient data if none could be judged."""
    if any(one.is_drift for one in checks):
        return "drift"
    return "ok" if any(one.verdict == "ok" for one in checks) else "insufficient_data"
