"""Policies that decide by p-values, over all periods as one window: asked once, not for standing watch."""

import math
from collections.abc import Sequence

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.comparison import effect, p_value
from model.monitoring.evidence import Evidence, Stream, largest_gap
from model.monitoring.policy import Policy
from model.monitoring.statistics import chi_square, ks_distance


def tested_evidence(streams: Sequence[Stream], policy: Policy) -> list[Evidence]:
    """Test each stream and correct over those that have enough rows.

    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979); Benjamini and
    Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57 (1995). Both also want the effect
    to reach the stream's practical size; ``ks_pvalue`` does not.
    """
    p_values = [_p_value(stream, policy) for stream in streams]
    threshold = _threshold(np.sort([p for p in p_values if p is not None]), policy)
    return [_evidence(stream, p, threshold, policy) for stream, p in zip(streams, p_values, strict=True)]


def _p_value(stream: Stream, policy: Policy) -> float | None:
    window = stream.windows[0]
    return p_value(stream, window) if window.sum() >= policy.min_rows else None


def _threshold(ordered: Floats, policy: Policy) -> float:
    # The largest p-value that would be rejected, given how many are.
    if policy.name == "ks_pvalue":
        return policy.p_threshold
    n, ranks = len(ordered), np.arange(1, len(ordered) + 1)
    if policy.name == "holm":
        n_rejected = int(np.logical_and.accumulate(ordered <= policy.alpha / (n + 1 - ranks)).sum())
        return policy.alpha / max(1, n - n_rejected)
    n_rejected = int(ranks[ordered <= policy.alpha * ranks / n].max(initial=1)) if n else 1
    return policy.alpha * n_rejected / max(1, n)


def _evidence(stream: Stream, p: float | None, threshold: float, policy: Policy) -> Evidence:
    window = stream.windows[0]
    name, statistic = _statistic(stream, window)
    strength = 0.0 if p is None else _strength(p, threshold)
    if policy.name != "ks_pvalue" and (effect(stream, window) or 0.0) < stream.delta:
        strength = min(strength, 1.0)
    place = largest_gap(stream.reference, window) if stream.shape == "number" else None
    return Evidence(name, statistic, threshold, strength, stream.spans[0], window, place, "p_value")


def _strength(p: float, threshold: float) -> float:
    # Above 1 exactly where p is below the threshold; the logarithm keeps it finite for p = 0.
    if p < threshold:
        return 1.0 + min(1.0, math.log(threshold / max(p, 1e-300)) / 700) + 1e-9
    return min(1.0, threshold / p)


def _statistic(stream: Stream, window: Ints) -> tuple[str, float | None]:
    if stream.shape == "number":
        return "ks", ks_distance(stream.reference, window)
    found = chi_square(stream.reference, window)
    return "chi_square", None if found is None else found.statistic
