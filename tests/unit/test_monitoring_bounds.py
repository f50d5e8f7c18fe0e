"""The inequalities that the budget of false alarms rests on hold, and waste little."""

import numpy as np
import pytest
from scipy import stats

from model.monitoring import bounds
from model.monitoring.ladder import history_needed, ladder


def test_binomial_z_never_promises_a_smaller_chance_than_the_exact_tail():
    rng = np.random.default_rng(0)
    n = np.floor(10 ** rng.uniform(0, 5.5, 20_000))
    p = rng.uniform(0, 1, 20_000) ** 3
    k = np.clip(np.ceil(n * p + rng.uniform(0, 9, 20_000) * np.sqrt(n * p * (1 - p)) + 1), 0, n)
    z = bounds.binomial_z(k, n, p)
    exact, promised = stats.binom.sf(k - 1, n, p), stats.norm.sf(z)

    assert (exact[z > 0] <= promised[z > 0] * (1 + 1e-9)).all()
    assert np.median(np.log(promised[z > 3] / exact[z > 3])) < 1  # less than one row dearer


def test_share_beyond_is_where_binomial_z_passes():
    for p, n, z in [(0.03, 1_000, 4.5), (0.5, 200, 5.0), (0.9, 10_000, 4.0)]:
        k = round(bounds.share_beyond(p, n, z) * n)

        assert bounds.binomial_z(np.float64(k + 1), np.float64(n), np.float64(p)) > z
        assert bounds.binomial_z(np.float64(k - 1), np.float64(n), np.float64(p)) < z


def test_a_share_that_cannot_be_beyond_says_so():
    assert bounds.share_beyond(0.9, 10, 5.0) == 1.0
    assert bounds.share_beyond(1.0, 1_000, 3.0) == 1.0


@pytest.mark.parametrize(("n", "m"), [(300, 300), (500, 2_000), (5_000, 2_000)])
def test_two_samples_pass_their_margin_no_more_often_than_stated(n, m):
    rng = np.random.default_rng(1)
    level = 0.1
    margin = bounds.two_sample_margin(n, m, level)
    passed = [
        stats.ks_2samp(rng.random(n), rng.random(m), method="asymp").statistic > margin for _ in range(1_000)
    ]

    assert np.mean(passed) <= level


def test_the_two_sample_margin_is_near_the_ideal_one():
    ideal = np.sqrt(np.log(2 / 1e-7) / 2 * (1 / 500 + 1 / 20_000))

    assert ideal < bounds.two_sample_margin(500, 20_000, 1e-7) < 1.05 * ideal


def test_one_sample_passes_the_dkw_margin_no_more_often_than_stated():
    rng = np.random.default_rng(2)
    margin = bounds.dkw_margin(400, 0.1)
    passed = [stats.ks_1samp(rng.random(400), stats.uniform.cdf).statistic > margin for _ in range(1_000)]

    assert 0.06 < np.mean(passed) < 0.13  # the constant is tight


def test_share_limits_are_clopper_and_pearsons():
    low, high = bounds.share_limits(np.array([0, 7, 50]), np.array([50, 50, 50]), 0.025)
    expected = [stats.binomtest(k, 50).proportion_ci(0.95, "exact") for k in (0, 7, 50)]

    assert low == pytest.approx([one.low for one in expected])
    assert high == pytest.approx([one.high for one in expected])


def test_nothing_is_known_of_a_share_without_rows():
    low, high = bounds.share_limits(np.array([0]), np.array([0]), 0.01)

    assert (low[0], high[0]) == (0, 1)


@pytest.mark.parametrize("periods_per_month", [1, 4, 30, 120, 720, 8_640])
def test_the_rungs_of_a_ladder_spend_the_whole_budget_and_no_more(periods_per_month):
    rungs = ladder(periods_per_month)

    assert sum(rung.weight for rung in rungs) == pytest.approx(1)
    assert rungs[0].n_periods == 1
    assert all(rung.n_windows * rung.stride >= periods_per_month for rung in rungs)


def test_a_rung_ends_once_every_stride():
    rung = next(rung for rung in ladder(720) if rung.n_periods == 48)
    ends = [last for last in range(60) if rung.n_open(last) == 0]

    assert rung.stride == 4
    assert np.diff(ends).tolist() == [4] * (len(ends) - 1)


def test_a_week_and_its_lateness_are_all_the_history_that_is_needed():
    assert history_needed(720) == 168 + 13
    assert history_needed(30) == 7


def test_a_ladder_can_begin_with_whole_days():
    assert [rung.n_periods for rung in ladder(720, 24)] == [24, 48, 72, 96, 120, 168]
