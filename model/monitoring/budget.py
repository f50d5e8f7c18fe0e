"""How the monthly chance of a false alarm is shared out."""

from dataclasses import dataclass
from typing import Literal

from model.monitoring.ladder import Rung
from model.monitoring.policy import Policy

StreamKind = Literal["distribution", "rate", "pair", "joint", "segment"]

_PARTS: dict[StreamKind, float] = {
    "distribution": 0.7,
    "rate": 0.1,
    "pair": 0.05,
    "joint": 0.05,
    "segment": 0.1,
}
_REFERENCE_PART = 0.1


@dataclass(frozen=True, slots=True)
class Budget:
    """What one stream may spend: ``windows`` a month on chance in windows, ``reference`` once on
    training's."""

    windows: float
    reference: float

    def of_rung(self, rung: Rung, n_looks: int = 1) -> float:
        """Return the chance that one window of a rung may take, if each is looked at ``n_looks`` times."""
        return self.windows * rung.weight / (rung.n_windows * n_looks)


def part_of(kind: StreamKind) -> float:
    """Return the part of alpha that all streams of a kind have together."""
    return _PARTS[kind]


def share_of(policy: Policy, kind: StreamKind, n_streams: int) -> Budget:
    """Return what one of ``n_streams`` of a kind may spend."""
    alpha = policy.alpha * _PARTS[kind] / max(1, n_streams)
    once = alpha * _REFERENCE_PART / policy.n_references
    return Budget(alpha * (1 - _REFERENCE_PART), once)
