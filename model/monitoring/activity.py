"""Whether rows still come: a drop of volume, and silence.

Traffic is no sample of anything, so these checks promise no exact budget: they compare with what the same
model had in earlier periods and are deliberately slow to complain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from model.monitoring.results import Verdict
from model.monitoring.words import figure

MIN_PERIODS = 24


@dataclass(frozen=True, slots=True)
class Activity:
    """Whether a model gets the rows it used to get.

    ``n_rows`` came where ``n_expected`` were usual; ``p_value`` is the chance of so few, below ``threshold``
    if the verdict is drift.
    """

    n_rows: int
    n_expected: float | None
    p_value: float | None
    threshold: float
    verdict: Verdict
    sentence: str

    @property
    def is_drift(self) -> bool:
        """Whether somebody should look."""
        return self.verdict == "drift"


def volume(n_rows: int, earlier: Sequence[int], *, alpha: float = 0.05, looks: int = 720) -> Activity:
    """Compare the rows of one period with those of earlier, like periods.

    Drift is less than half of the usual rows where so few have a chance below ``alpha / looks`` under a
    negative binomial law with the mean and variance of the earlier periods (Hilbe, "Negative Binomial
    Regression", 2nd ed. (2011), chapter 8), which allows for traffic that varies more than chance.

    Parameters
    ----------
    earlier : sequence of int
        Rows of earlier periods, such as the same hour on the days before; at least ``MIN_PERIODS``.
    """
    threshold = alpha / looks
    if len(earlier) < MIN_PERIODS:
        return Activity(n_rows, None, None, threshold, "insufficient_data", "too early to know what is usual")
    mean, variance = float(np.mean(earlier)), float(np.var(earlier, ddof=1))
    p_value = _chance_of_at_most(n_rows, mean, variance)
    is_low = p_value < threshold and n_rows < mean / 2
    sentence = f"{n_rows} rows came where {figure(mean)} are usual"
    return Activity(n_rows, mean, p_value, threshold, "drift" if is_low else "ok", sentence)


def silence_limit(rows: Sequence[int]) -> int | None:
    """Return after how many periods without a row a model counts as silent: three times its longest silence.

    ``rows`` are the rows of successive periods. At least 3; None before ``MIN_PERIODS`` periods are known.
    """
    if len(rows) < MIN_PERIODS or not any(rows):
        return None
    edges = np.flatnonzero(np.concatenate([[1], rows, [1]]))
    return 3 * max(1, int(np.diff(edges).max()) - 1)


def _chance_of_at_most(n_rows: int, mean: float, variance: float) -> float:
    if mean <= 0:
        return 1.0
    if variance <= mean:
        return float(special.pdtr(n_rows, mean))
    size = mean**2 / (variance - mean)
    return float(special.betainc(size, n_rows + 1, size / (size + mean)))
