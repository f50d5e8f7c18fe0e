"""What of a model's outputs is watched: probabilities at a resolution at which a difference can matter.

Two models that agree to four digits can give every row a slightly different probability; ranks, and with them
the Kolmogorov-Smirnov distance, would see that as a complete change. At two digits they agree.
"""

from collections.abc import Iterable

DIGITS = 2


def coarse(probabilities: Iterable[float | None]) -> list[float | None]:
    """Return probabilities in steps of 0.01; None stays None.

    >>> coarse([0.00273, None, 0.9951])
    [0.0, None, 1.0]
    """
    return [None if value is None else round(value, DIGITS) for value in probabilities]
