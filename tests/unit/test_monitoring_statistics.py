"""Statistics from counts agree with those from raw values."""

import numpy as np
import pytest
from scipy import spatial, stats

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
FINITE = [kind for kind in KINDS if kind not in ("infinities", "huge and tiny")]
EMPTY, FULL = np.zeros(4, dtype=np.int64), np.array([1, 2, 3, 4])


def counted(reference, current, **settings):
    cells = fit_number_cells(reference, **settings)
    return (cells.borders, *(cells.count(values).values[: cells.n_values] for values in (reference, current)))


def pairs_of(kind, n_pairs, most=80):
    rng = np.random.default_rng(1)
    for _ in range(n_pairs):
        yield tuple(KINDS[kind](rng, int(rng.integers(1, most))) for _ in range(2))


@pytest.mark.parametrize("kind", KINDS)
def test_ks_distance_is_scipys_on_hundreds_of_samples(kind):
    for first, second in pairs_of(kind, 400):
        _, reference, current = counted(first, second)

        expected = stats.ks_2samp(first, second, method="asymp").statistic
        assert statistics.ks_distance(reference, current) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("kind", ["normal", "few values"])
def test_exact_ks_p_value_is_scipys(kind):
    for first, second in pairs_of(kind, 100):
        _, reference, current = counted(first, second)
        expected = stats.ks_2samp(first, second, method="exact").pvalue

        assert statistics.ks_p_value(reference, current) == pytest.approx(expected, abs=1e-11)


def test_ks_p_value_of_many_rows_is_the_asymptotic_one():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=20_000), rng.normal(0.05, 1, size=3_000)
    _, reference, current = counted(first, second, max_cells=20_000)

    expected = stats.ks_2samp(first, second, method="asymp").pvalue
    assert statistics.ks_p_value(reference, current) == pytest.approx(expected, rel=0.05)


def test_few_rows_against_a_large_reference_still_have_a_p_value():
    reference, current = np.full(100, 500), np.eye(1, 100, 3, dtype=np.int64)[0] * 20

    assert 0 <= statistics.ks_p_value(reference, current) < 1e-6


def test_thinning_lowers_ks_by_no_more_than_it_says():
    rng = np.random.default_rng(2)
    for shift in (0.0, 0.1, 0.7):
        first, second = rng.normal(size=5_000), rng.normal(shift, 1, size=3_000)
        _, reference, current = counted(first, second, max_cells=64)
        exact = stats.ks_2samp(first, second).statistic
        lost = exact - statistics.ks_distance(reference, current)

        assert -1e-12 <= lost <= statistics.ks_error(reference) < 0.035


def test_an_unthinned_reference_has_no_ks_error():
    _, reference, _ = counted(np.arange(1_000.0), np.zeros(1))

    assert statistics.ks_error(reference) == 0


@pytest.mark.parametrize("kind", FINITE)
def test_mann_whitney_is_scipys(kind):
    for first, second in pairs_of(kind, 100):
        _, reference, current = counted(first, second)
        expected = stats.mannwhitneyu(second, first).statistic / len(first) / len(second)

        assert statistics.mann_whitney(reference, current) == pytest.approx(expected)


@pytest.mark.parametrize("kind", FINITE)
def test_wasserstein_lies_within_its_bounds(kind):
    for first, second in pairs_of(kind, 100):
        found = statistics.wasserstein(*counted(first, second))
        true = stats.wasserstein_distance(first, second)

        assert found.low <= true + 1e-9
        assert found.high is None or true <= found.high + 1e-9


def test_wasserstein_is_exact_when_all_values_lie_on_the_reference():
    found = statistics.wasserstein(*counted(np.array([0.0, 1.0, 3.0]), np.array([0.0, 3.0, 3.0])))

    assert found.is_exact
    assert found.low == pytest.approx(2 / 3)


def test_chi_square_is_scipys_where_no_cell_is_small():
    reference, current = np.array([50, 80, 120]), np.array([30, 40, 20])
    expected = stats.chi2_contingency([reference, current], correction=False)
    found = statistics.chi_square(reference, current)

    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.freedom == 2


def test_chi_square_pools_rare_cells():
    reference = np.array([500, 480, 3, 2, 1, 4])
    found = statistics.chi_square(reference, np.array([50, 47, 1, 0, 1, 0]))

    assert found.freedom == 1  # the four rare ones together are still too few, so they join a large one


def test_chi_square_of_one_cell_is_undefined():
    assert statistics.chi_square(np.array([9, 0]), np.array([9, 0])) is None


def test_chi_square_keeps_its_level_with_few_rows_and_many_cells():
    rng, chances = np.random.default_rng(3), np.arange(1, 31) / 465
    found = [
        statistics.chi_square(rng.multinomial(2_000, chances), rng.multinomial(40, chances)).p_value
        for _ in range(1_500)
    ]

    assert 0.03 < np.mean(np.array(found) < 0.05) < 0.07


def test_rate_p_value_is_the_chi_square_of_two_cells():
    reference, current = np.array([30, 970]), np.array([12, 188])

    assert statistics.rate_p_value(reference, current) == pytest.approx(
        statistics.chi_square(reference, current).p_value
    )


def test_jensen_shannon_is_scipys():
    before, after = np.array([10, 0, 30]), np.array([5, 5, 5])
    expected = spatial.distance.jensenshannon(before, after, base=2)

    assert statistics.jensen_shannon(before, after) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["jensen_shannon", "hellinger", "total_variation"])
def test_distances_are_nought_when_equal_and_one_when_disjoint(name):
    distance = getattr(statistics, name)

    assert distance(FULL, 3 * FULL) == pytest.approx(0, abs=1e-8)
    assert distance(np.array([7, 0]), np.array([0, 3])) == pytest.approx(1)


def test_psi_is_symmetric_finite_and_nought_when_equal():
    before, after = np.array([90, 10, 0]), np.array([0, 10, 90])

    assert statistics.psi(before, after) == pytest.approx(statistics.psi(after, before))
    assert statistics.psi(FULL, FULL) == 0


@pytest.mark.parametrize(
    "name",
    ["ks_distance", "ks_p_value", "chi_square", "psi", "jensen_shannon", "hellinger", "total_variation",
     "largest_share_change", "mann_whitney"],
)  # fmt: skip
def test_an_empty_window_gives_none(name):
    statistic = getattr(statistics, name)

    assert statistic(FULL, EMPTY) is None
    assert statistic(EMPTY, FULL) is None
    assert statistic(EMPTY, EMPTY) is None


def test_quantile_of_values_on_borders_is_a_value():
    borders, reference, _ = counted(np.array([1.0, 2.0, 2.0, 3.0, 9.0]), np.zeros(1))

    assert [statistics.quantile(borders, reference, level) for level in (0, 0.5, 1)] == [1.0, 2.0, 9.0]


def test_quantile_between_borders_is_interpolated():
    borders, _, current = counted(np.array([0.0, 10.0]), np.array([2.0, 4.0, 6.0, 8.0]))

    assert statistics.quantile(borders, current, 0.5) == pytest.approx(5.0)


def test_quantile_at_infinity_is_undefined():
    borders, _, current = counted(np.array([0.0, 1.0]), np.array([np.inf, np.inf, 0.0]))

    assert statistics.quantile(borders, current, 0.5) is None


def test_bins_hold_equal_parts_and_never_split_a_value():
    reference = np.array([50, 10, 10, 10, 10, 10])
    bins = statistics.quantile_bins(reference, 5)

    assert statistics.binned(reference, bins).sum() == 100
    assert len(set(bins.tolist())) <= 5
    assert (np.diff(bins) >= 0).all()
