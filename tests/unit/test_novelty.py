"""Rows unlike any of training are told from usual ones."""

import numpy as np
import pytest

from model import novelty
from model.novelty import CODE, Detector, Novelty

CATEGORIES = {"town": ["east", "west"]}
NAMES = (("size", "price", "rooms"), ("town", "street"))


def rows(n, seed):
    """Sizes with a long tail and prices that go with them, a gap now and then."""
    rng = np.random.default_rng(seed)
    size = rng.lognormal(4, 1, n)
    numbers = np.column_stack([size, 1_000 * size * rng.lognormal(0, 0.1, n), rng.integers(1, 6, n)])
    numbers[rng.random(n) < 0.1, 2] = np.nan
    texts = np.array([[town, f"s{i}"] for i, town in enumerate(rng.choice(CATEGORIES["town"], n))], object)
    return numbers, texts


@pytest.fixture(scope="module")
def learnt():
    return novelty.learn(0.01, *rows(3_000, 1), NAMES, CATEGORIES)


@pytest.fixture(scope="module")
def detector(learnt):
    return Detector(Novelty.from_bytes(learnt.to_bytes()))


def flagged(detector, *changed):
    numbers, texts = rows(1, 5)
    numbers[0, : len(changed)] = changed
    return detector.warnings(numbers, texts)[0]


def test_about_the_stated_share_of_usual_rows_is_flagged():
    rng = np.random.default_rng(1)
    many = rng.normal(size=(9_000, 10)) @ rng.normal(size=(10, 10))

    detector = Detector(novelty.learn(0.01, many[:4_000], None, ([*"abcdefghij"], ()), {}))

    found = detector.warnings(many[4_000:], None)
    assert 0.005 <= np.mean([one is not None for one in found]) <= 0.02


def test_an_odd_combination_of_usual_values_is_flagged(detector):
    warning = flagged(detector, 400.0, 5_000.0)

    assert (warning.code, warning.feature) == (CODE, "price")
    assert flagged(detector, 400.0, 400_000.0) is None


def test_values_far_beyond_all_are_flagged_by_the_feature(detector):
    assert flagged(detector, 50.0, 50_000.0, 90.0).feature == "rooms"
    assert flagged(detector, 1e300, -1e300, 3.0) is not None


def test_a_category_alone_is_not_far(detector):
    numbers, _ = rows(1, 5)

    assert detector.warnings(numbers, np.array([["nowhere", "s"]], object)) == [None]


def test_many_rows_get_what_single_ones_get(detector):
    numbers, texts = rows(4_000, 3)

    together = detector.warnings(numbers, texts)

    assert together[:50] == [detector.warnings(numbers[i : i + 1], texts[i : i + 1])[0] for i in range(50)]


@pytest.mark.parametrize("n", [20, 400])
def test_few_rows_flag_none_of_their_own(n):
    numbers, texts = rows(n, 4)

    found = Detector(novelty.learn(0.001, numbers, texts, NAMES, CATEGORIES)).warnings(numbers, texts)

    assert found == [None] * n


def test_tables_of_one_kind_of_column_work():
    numbers, texts = rows(100, 4)

    only_numbers = novelty.learn(0.01, numbers, None, (NAMES[0], ()), {})
    only_texts = novelty.learn(0.01, np.empty((100, 0)), texts, ((), NAMES[1]), CATEGORIES)

    assert len(Detector(only_numbers).warnings(numbers, None)) == 100
    assert Detector(only_texts).warnings(np.empty((100, 0)), texts) == [None] * 100
    assert novelty.learn(0.01, np.zeros((50, 1)), None, (("a",), ()), {}) is None
