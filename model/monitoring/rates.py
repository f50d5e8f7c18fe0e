"""All rates of a model at once: the same test as ``margin`` has for shares, on arrays of rates."""

from collections.abc import Sequence

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.bounds import binomial_z, normal_z, share_beyond, share_limits
from model.monitoring.budget import Budget
from model.monitoring.evidence import Evidence, Stream
from model.monitoring.results import Place

_ONE_SIDED = ("type_fault", "unseen", "out_of_range")  # fewer of them is no news


def rates_evidence(
    streams: Sequence[Stream], budget: Budget, levels: Floats, design_effects: Floats
) -> list[Evidence]:
    """Return the strongest evidence in any window of each rate.

    Parameters
    ----------
    streams : sequence of Stream
        Rates over the same spans.
    levels : ndarray of shape (n_spans,)
        Chance of a false alarm that each window of one rate may take.
    design_effects : ndarray of shape (n_streams,)
        How many rows tell as much as one independent row.
    """
    if not streams:
        return []
    windows = np.stack([stream.windows for stream in streams], axis=1)
    n = windows.sum(axis=2) / design_effects
    up, down = _limits(streams, budget, design_effects)
    strengths = rate_strengths(streams, windows, budget, levels, design_effects)
    z = _z(streams, levels)
    # Equal strengths, such as zeros, are shown for the longest window: it has the most rows.
    rows = len(levels) - 1 - strengths[::-1].argmax(axis=0)
    every = np.arange(len(streams))
    n, z = n[rows, every], z[rows, every]
    limits = zip(share_beyond(up, n, z).tolist(), (1 - share_beyond(1 - down, n, z)).tolist(), strict=True)
    decided = zip(streams, rows.tolist(), strengths[rows, every].tolist(), limits, strict=True)
    return [_evidence(*one) for one in decided]


def rate_strengths(
    streams: Sequence[Stream], windows: Ints, budget: Budget, levels: Floats, design_effects: Floats
) -> Floats:
    """Return deviations as multiples of what is needed; windows (n, n_streams, 2) give (n, n_streams)."""
    up, down = _limits(streams, budget, design_effects)
    k = windows[:, :, 0] / design_effects
    n = windows.sum(axis=2) / design_effects
    below = np.where(_n_sides(streams) == 2, binomial_z(n - k, n, 1 - down), 0.0)
    return np.asarray(np.maximum(binomial_z(k, n, up), below) / _z(streams, levels), dtype=np.float64)


def _n_sides(streams: Sequence[Stream]) -> Ints:
    return np.array([1 if stream.check in _ONE_SIDED else 2 for stream in streams])


def _z(streams: Sequence[Stream], levels: Floats) -> Floats:
    return normal_z(levels[:, np.newaxis] / _n_sides(streams))


def _limits(streams: Sequence[Stream], budget: Budget, design_effects: Floats) -> tuple[Floats, Floats]:
    pairs = [stream.limits.get(0, (int(stream.reference[0]), stream.m)) for stream in streams]
    k, m = (np.array(column) / design_effects for column in zip(*pairs, strict=True))
    low, high = share_limits(k, m, budget.reference / 2)
    share = np.array([stream.reference[0] / max(1, stream.m) for stream in streams])
    delta = np.array([stream.delta for stream in streams])
    return np.minimum(1.0, np.maximum(share + delta, high)), np.maximum(0.0, np.minimum(share - delta, low))


def _evidence(stream: Stream, row: int, strength: float, limits: tuple[float, float]) -> Evidence:
    window = stream.windows[row]
    before, after = _share(stream.reference), _share(window)
    if before is None or after is None:
        return Evidence("rate_change", None, None, 0.0, stream.spans[row], window)
    is_up = after >= before or stream.check in _ONE_SIDED
    limit = limits[0] if is_up else limits[1]
    change, place = abs(after - before), Place(0, False, is_up)
    return Evidence("rate_change", change, abs(limit - before), strength, stream.spans[row], window, place)


def _share(counts: Ints) -> float | None:
    n = int(counts.sum())
    return float(counts[0] / n) if n else None
