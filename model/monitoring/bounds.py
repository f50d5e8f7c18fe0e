"""Inequalities that hold for every sample size: what chance alone can do to a distance or a share.

Pure formulas. ``docs/drift-proof.md`` says how they are put together.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from model.monitoring.arrays import Floats

_N_NEWTON = 12


def dkw_margin(n: Floats | float, level: float | Floats) -> Floats:
    """Distance that an empirical distribution of n rows passes with a chance of at most ``level``, both
    sides.

    P(sup |F_n - F| > t) <= 2 exp(-2 n t^2): Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz
    inequality", Ann. Probab. 18 (1990). It holds for every F, with or without jumps.
    """
    return np.sqrt(np.log(2 / np.asarray(level)) / (2 * np.asarray(n, dtype=np.float64)))


@lru_cache(maxsize=65_536)
def two_sample_margin(n: float, m: float, level: float) -> float:
    """Distance that two samples of one distribution, of n and m rows, pass with a chance of at most
    ``level``.

    The two one-sided distances are independent and have tails below exp(-2 n t^2) and exp(-2 m t^2) (Massart
    1990; Reeve, "A short proof of the Dvoretzky-Kiefer-Wolfowitz-Massart inequality", arXiv 2403.16651, for
    every t), so their sum has a tail below the convolution of these two, which has a closed form.
    """
    low, high = 0.0, 2.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if 2 * _convolved_tail(middle, n, m) <= level else (middle, high)
    return high


def _convolved_tail(t: float, n: float, m: float) -> float:
    # exp(-2 m t^2) + integral over u in (0, t) of 4 m u exp(-2 m u^2) exp(-2 n (t - u)^2), completed squares.
    both, centre = n + m, n * t / (n + m)
    spread = math.sqrt(2 * both)
    mass = math.sqrt(math.pi / 8 / both) * (math.erf(spread * (t - centre)) + math.erf(spread * centre))
    ends = (math.exp(-2 * both * centre**2) - math.exp(-2 * both * (t - centre) ** 2)) / (4 * both)
    return math.exp(-2 * m * t**2) + 4 * m * math.exp(-2 * n * m * t**2 / both) * (centre * mass + ends)


def share_limits(k: Floats, m: Floats, level: Floats | float) -> tuple[Floats, Floats]:
    """Lower and upper limit of a probability of which k of m rows were seen, each wrong with ``level``.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26 (1934). Without rows the limits are 0 and 1.
    """
    k, m = np.asarray(k, dtype=np.float64), np.asarray(m, dtype=np.float64)
    low = special.betaincinv(np.maximum(k, 1), m - k + 1, level)
    high = special.betaincinv(k + 1, np.maximum(m - k, 1), 1 - np.asarray(level))
    return np.where(k > 0, low, 0.0), np.where(m > k, high, 1.0)


def divergence(q: Floats | float, p: Floats | float) -> Floats:
    """Kullback-Leibler divergence, in nats, of a coin of chance q from one of chance p, in (0, 1)."""
    return np.asarray(special.rel_entr(q, p) + special.rel_entr(1 - q, 1 - p), dtype=np.float64)


def binomial_z(k: Floats, n: Floats, p: Floats) -> Floats:
    """Return z such that P(Bin(n, p) >= k) <= 1 - Phi(z); 0 where k is not above its expectation.

    The chance of at least k is below that of a normal variable to pass the signed root of the deviance at
    k - 1: Zubkov and Serov, "A complete proof of universal inequalities for the distribution function of the
    binomial law", Theory Probab. Appl. 57 (2013). It is within one row of the exact tail. ``p`` of 1 gives 0.
    """
    n = np.asarray(n, dtype=np.float64)
    q = np.clip((k - 1) / np.maximum(n, 1), 0.0, 1.0)
    is_above = (q > p) & (p < 1)
    deviance = 2 * n * divergence(np.where(is_above, q, 0.5), np.where(is_above, p, 0.5))
    return np.where(is_above, np.sqrt(np.maximum(deviance, 0.0)), 0.0)


def normal_z(level: Floats | float) -> Floats:
    """Return z with 1 - Phi(z) = ``level``, exact down to 1e-300."""
    return np.asarray(-special.ndtri(level), dtype=np.float64)


def share_beyond(p: Floats | float, n: Floats | float, z: Floats | float) -> Floats:
    """Return the smallest share of n rows that ``binomial_z`` puts beyond z for chance p; at most 1."""
    p, n, z = np.broadcast_arrays(np.maximum(np.asarray(p, dtype=np.float64), 1e-300), n, z)
    needed = np.where(n > 0, z * z / (2 * np.maximum(n, 1e-9)), np.inf)
    is_out_of_reach = (p >= 1) | (needed >= -np.log(p))
    p, needed = np.where(is_out_of_reach, 0.5, p), np.where(is_out_of_reach, 0.1, needed)
    # Newton's method from above the root (Pinsker's inequality says where): convex, so it never overshoots.
    q = np.minimum(p + np.sqrt(needed / 2), 1 - 1e-12)
    for _ in range(_N_NEWTON):
        q = q - (_coin_divergence(q, p) - needed) / np.log(q * (1 - p) / (p * (1 - q)))
    return np.where(is_out_of_reach, 1.0, np.minimum(1.0, q + 1 / np.maximum(n, 1e-9)))


def _coin_divergence(q: Floats, p: Floats) -> Floats:
    return np.asarray(q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)))
