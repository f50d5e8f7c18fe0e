"""What an alarm says to a person."""

import numpy as np
import pytest

from model.monitoring import ModelReference, Policy, Timeline, decide
from model.monitoring.activity import silence_limit, volume


def sentence(before, after, kind="number", **settings):
    reference = ModelReference.fit({"x": before}, {"x": kind}, **settings)
    policy = Policy(name="ks_pvalue")
    return decide(reference, Timeline.of(reference.count({"x": after})), policy).features[0].sentence


def test_a_moved_median_is_told_with_its_unit():
    before = np.linspace(88, 148, 1_001)

    assert sentence(before, before + 14, units={"x": "bpm"}) == "x is 14 bpm higher at the median (118 → 132)"
    assert sentence(before, before / 2) == "x is 59 lower at the median (118 → 59)"


def test_a_wider_spread_is_told_where_it_shows_most():
    before = np.linspace(-1, 1, 1_001)

    assert sentence(before, 2 * before) in (
        "share of x above 1 rose from 0 % to 25 %",
        "share of x below -1 rose from 0 % to 25 %",
    )


def test_a_changed_share_is_told_with_its_category():
    before, after = ["diesel"] * 12 + ["petrol"] * 88, ["diesel"] * 31 + ["petrol"] * 69

    assert sentence(before, after, "category") == "share of 'diesel' in x rose from 12 % to 31 %"


def test_new_categories_are_told_as_such():
    before, after = ["a", "b"] * 50, ["a"] * 30 + ["b"] * 30 + ["c", "d"] * 20

    assert (
        sentence(before, after, "category")
        == "share of categories not in training in x rose from 0 % to 40 %"
    )


def test_a_share_of_a_yes_or_no_number_is_told_rather_than_a_median():
    assert sentence([0, 1] * 100, [0] * 20 + [1] * 80) == "share of x above 0 rose from 50 % to 80 %"


def test_dates_are_told_as_dates():
    before = [f"2020-01-{day:02}" for day in range(1, 32)]
    after = [f"2020-02-{day:02}" for day in range(1, 30)]

    assert sentence(before, after, "date") == "x is 30 days later at the median (2020-01-16 → 2020-02-15)"


def test_a_single_value_is_told():
    assert sentence([1, 2, 3] * 20, [2] * 40) == "x has only the value 2 now"


@pytest.mark.parametrize("after", [[], [None] * 5])
def test_a_window_without_values_is_told(after):
    assert sentence([1, 2, 3], after) == "x has no values to compare"


def test_a_drop_of_volume_is_told_and_ordinary_traffic_is_not_one():
    earlier = np.random.default_rng(0).poisson(1_000, 100).tolist()

    assert volume(20, earlier).sentence == "20 rows came where 1006 are usual"
    assert [volume(n, earlier).is_drift for n in (20, 600, 1_000)] == [True, False, False]


def test_traffic_that_always_varied_may_vary():
    bursts = [0, 5_000, 10, 0, 3_000] * 10

    assert not volume(0, bursts).is_drift


def test_too_little_history_says_nothing_of_volume():
    assert volume(0, [100] * 5).verdict == "insufficient_data"
    assert silence_limit([100] * 5) is None


def test_silence_is_three_times_the_longest_so_far():
    assert silence_limit([1, 0, 0, 0, 1] * 6) == 9
    assert silence_limit([1] * 30) == 3
