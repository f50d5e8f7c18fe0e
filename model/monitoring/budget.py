"""How the monthly chance of a false alarm is shared out."""

from dataclasses import dataclass

from model.monitoring.ladder import Rung
from model.monitoring.policy import Policy

_REFERENCE_PART = 0.1
_RATES_PART = 0.2


@dataclass(frozen=True, slots=True)
class Budget:
    """What one stream may spend: ``windows`` a month on chance in windows, ``reference`` once on
    training's."""

    windows: float
    reference: float

    def of_rung(self, rung: Rung, n_looks: int = 1) -> float:
        """Return the chance that one window of a rung may take, if each is looked at ``n_looks`` times."""
        return self.windows * rung.weight / (rung.n_windows * n_looks)


def distribution_budget(policy: Policy, n_streams: int) -> Budget:
    """Share of one of ``n_streams`` distributions: together they have four fifths."""
    return _budget(policy.alpha * (1 - _RATES_PART) / max(1, n_streams))


def rate_budget(policy: Policy, n_streams: int) -> Budget:
    """Share of one of ``n_streams`` rates: together they have a fifth."""
    return _budget(policy.alpha * _RATES_PART / max(1, n_streams))


def _budget(alpha: float) -> Budget:
    return Budget(alpha * (1 - _REFERENCE_PART), alpha * _REFERENCE_PART)
