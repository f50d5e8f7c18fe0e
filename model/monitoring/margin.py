"""The default policy: an alarm only if a change is larger than both its practical size and its chance error.

With n rows in the window, m in the reference, F streams, s = 2 for numbers and 2 K for K categories, L looks
a month and the practical size delta::

    floor      = max(delta, sqrt(ln(s F / 0.05) / (2 m)))
    once:        D > floor + sqrt(ln(s F L 3 / (alpha / 2)) / (2 n))   on the last period, day and week
    sustained:   D > floor + sqrt(ln(s / a) / (2 n))                   in 3 of the last 5 periods,
                 where a = (alpha / 2 / (10 L F))^(1/3)

By the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (Ann. Probab. 18 (1990)) and
union bounds, the chance of any false alarm in a month is at most alpha, plus 0.05 once for the reference.
"""

import math

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.evidence import Evidence, Stream
from model.monitoring.policy import Policy

_REFERENCE_ALPHA = 0.05
_N_RECENT, _N_SUSTAINED = 5, 3


def margin_evidence(stream: Stream, policy: Policy, n_streams: int) -> Evidence:
    """Return the strongest evidence among all horizons, ``n_streams`` sharing the budget."""
    found = [_once(stream, policy, n_streams, n_periods) for n_periods in _horizons(policy)]
    found.append(_sustained(stream, policy, n_streams))
    return max(found, key=_strength)


def _strength(evidence: Evidence) -> float:
    if evidence.statistic is None or not evidence.threshold:
        return -1.0
    return evidence.statistic / evidence.threshold


def _horizons(policy: Policy) -> list[int]:
    day, week = policy.periods_per_month // 30, policy.periods_per_month * 7 // 30
    return sorted({1, max(1, day), max(1, week)})


def _n_sides(stream: Stream) -> int:
    return 2 if stream.shape != "category" else 2 * stream.periods.shape[1]


def _floor(stream: Stream, n_streams: int) -> float:
    chance = math.log(_n_sides(stream) * n_streams / _REFERENCE_ALPHA)
    return max(stream.delta, math.sqrt(chance / (2 * max(1, stream.m))))


def _once(stream: Stream, policy: Policy, n_streams: int, n_periods: int) -> Evidence:
    looks = policy.periods_per_month * n_streams
    chance = math.log(_n_sides(stream) * looks * 3 / (policy.alpha / 2))
    return _evidence(stream, stream.window(n_periods), n_periods, n_streams, chance)


def _sustained(stream: Stream, policy: Policy, n_streams: int) -> Evidence:
    level = (policy.alpha / 2 / (10 * policy.periods_per_month * n_streams)) ** (1 / _N_SUSTAINED)
    chance = math.log(_n_sides(stream) / level)
    recent = [_evidence(stream, row, 1, n_streams, chance) for row in stream.periods[-_N_RECENT:]]
    if len(recent) < _N_SUSTAINED:
        return recent[-1] if recent[-1].n == 0 else _once(stream, policy, n_streams, 1)
    return sorted(recent, key=_strength)[-_N_SUSTAINED]


def _evidence(stream: Stream, window: Ints, n_periods: int, n_streams: int, chance: float) -> Evidence:
    name = "ks" if stream.shape == "number" else "share_change"
    n, m = int(window.sum()), stream.m
    if not n or not m:
        return Evidence(name, None, None, False, n_periods, window)
    statistic = float(np.abs(_gaps(stream, window)).max())
    threshold = _floor(stream, n_streams) + math.sqrt(chance / (2 * n))
    return Evidence(name, statistic, threshold, statistic > threshold, n_periods, window)


def _gaps(stream: Stream, window: Ints) -> Floats:
    change = window / window.sum() - stream.reference / stream.reference.sum()
    return np.asarray(np.cumsum(change) if stream.shape == "number" else change, dtype=np.float64)
