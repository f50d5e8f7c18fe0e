"""Statistics from counts agree with those from raw values."""

import numpy as np
import pytest
from scipy import stats

from model.monitoring import statistics
from model.monitoring.cells import fit_number_cells

KINDS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "few values": lambda rng, size: rng.integers(0, 5, size).astype(float),
    "constant": lambda _, size: np.ones(size),
    "heavy tails": lambda rng, size: rng.standard_cauchy(size),
    "infinities": lambda rng, size: rng.choice([-np.inf, 0.0, 1.0, np.inf], size),
    "rounded": lambda rng, size: np.round(rng.normal(size=size), 1),
    "huge and tiny": lambda rng, size: rng.choice([1e300, -1e300, 1e-300, 0.0, 5e-324], size),
}


def counted(reference, current, **settings):
    cells = fit_number_cells(reference, **settings)
    return (cells, *(cells.count(values).values[: cells.n_values] for values in (reference, current)))


@pytest.mark.parametrize("kind", KINDS)
def test_ks_from_counts_is_scipys(kind):
    rng = np.random.default_rng(1)
    for _ in range(300):
        first, second = (KINDS[kind](rng, int(rng.integers(1, 80))) for _ in range(2))
        _, reference, current = counted(first, second)
        expected = stats.ks_2samp(first, second, method="exact")

        assert statistics.ks_distance(reference, current) == pytest.approx(expected.statistic, abs=1e-15)
        assert statistics.ks_p_value(reference, current) == pytest.approx(expected.pvalue, abs=1e-12)
