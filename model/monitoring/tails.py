"""Two tail probabilities in closed form, so that pages show p-values without SciPy in the web process."""

import math

import numpy as np

from model.monitoring.arrays import Floats

_SMALL = 0.82  # below, the series in exp(-1 / x^2) needs fewer terms
_N_TERMS = 12


def kolmogorov_tail(x: float) -> float:
    """Return the chance of more than ``x`` under Kolmogorov's distribution, in [0, 1].

    Both series of Kolmogorov, "Sulla determinazione empirica di una legge di distribuzione", Giornale
    dell'Istituto Italiano degli Attuari 4 (1933); the terms left out are below 1e-16.

    >>> round(kolmogorov_tail(1.36), 3)
    0.049
    """
    if x <= 0:
        return 1.0
    k = np.arange(1, _N_TERMS + 1)
    if x < _SMALL:
        series = np.exp(-(((2 * k - 1) * math.pi / x) ** 2) / 8).sum()
        return float(1 - math.sqrt(2 * math.pi) / x * series)
    signs = np.where(k % 2, 1.0, -1.0)
    return float(min(1.0, 2 * (signs * np.exp(-2 * (k * x) ** 2)).sum()))


def chi_square_tail(freedom: int, x: float) -> float:
    """Return the chance of more than ``x`` under the chi-square distribution, in [0, 1].

    Parameters
    ----------
    freedom : int
        Degrees of freedom, at least 1.
    x : float
        At least 0.

    Notes
    -----
    The finite sums of Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964), 26.4.4 and 26.4.5.

    >>> round(chi_square_tail(1, 3.841), 3), round(chi_square_tail(4, 9.488), 3)
    (0.05, 0.05)
    """
    half = x / 2
    if half <= 0:
        return 1.0
    is_odd = freedom % 2
    start = math.erfc(math.sqrt(half)) if is_odd else 0.0
    return min(1.0, start + float(np.exp(_log_terms(freedom // 2, half, is_odd / 2)).sum()))


def _log_terms(n: int, half: float, shift: float) -> Floats:
    """Return the logarithms of half^(k + shift) exp(-half) / Gamma(k + shift + 1) for k below ``n``."""
    places = np.arange(n) + shift
    gammas = math.lgamma(shift + 1) + np.concatenate([[0.0], np.cumsum(np.log(places[1:]))]) if n else places
    return np.asarray(places * math.log(half) - half - gammas, dtype=np.float64)
