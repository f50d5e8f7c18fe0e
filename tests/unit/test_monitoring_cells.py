"""Counting values into cells: exact, additive, fast ways equal to the plain one, and nothing raises."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.monitoring.cells import Counts, NumberCells, fit_category_cells, fit_number_cells, total
from model.monitoring.packing import pack, unpack, unpack_rows
from utils.errors import IntegrityError

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers()),
    st.binary(),
)


def slowly(borders, values):
    """The definition, value by value: minus infinity, below, on the first border, ..., above, infinity."""
    counts = [0] * (2 * len(borders) + 3)
    for value in values:
        n_below, n_up_to = sum(b < value for b in borders), sum(b <= value for b in borders)
        place = n_below + n_up_to + 1
        counts[0 if value == -np.inf else -1 if value == np.inf else place] += 1
    return counts


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8, unique=True),
    st.lists(st.floats(allow_nan=False)),
)
def test_every_value_falls_into_the_cell_that_the_definition_says(borders, values):
    borders = sorted({border + 0.0 for border in borders})
    cells = NumberCells(np.array(borders))

    assert cells.count(values + borders).values[:-2].tolist() == slowly(borders, values + borders)


@pytest.mark.parametrize("kind", ["normal", "uniform", "cauchy", "whole", "zeros", "vast", "tiny", "far"])
def test_large_columns_count_as_their_parts_do(kind):
    rng = np.random.default_rng(4)
    draw = {
        "normal": lambda n: rng.normal(size=n),
        "uniform": lambda n: rng.uniform(size=n),
        "cauchy": lambda n: rng.standard_cauchy(n),
        "whole": lambda n: rng.integers(0, 40, n).astype(float),
        "zeros": lambda n: np.where(rng.random(n) < 0.6, 0.0, rng.uniform(size=n)),
        "vast": lambda n: rng.choice([-1.7e308, 0.0, 1e-300, 1.7e308], n),
        "tiny": lambda n: rng.uniform(size=n) * 1e-310,
        "far": lambda n: 1.7e18 + rng.integers(0, 10**9, n),
    }[kind]
    cells = fit_number_cells(draw(5_000), max_cells=256)
    values = np.concatenate([draw(300_000), cells.borders, [np.inf, -np.inf, np.nan, 1e308, -1e308]])
    parts = [cells.count(part) for part in np.array_split(values, 9)]

    assert cells.count(values) == total(cells, parts)


def test_counts_add_up_to_the_counts_of_all_rows():
    rng = np.random.default_rng(0)
    cells = fit_number_cells(rng.normal(size=3_000))
    first, second = rng.normal(size=500), rng.normal(1, 1, size=200)

    assert cells.count(first) + cells.count(second) == cells.count(np.concatenate([first, second]))


def test_counts_of_other_cells_do_not_add_up():
    one, other = NumberCells(np.array([1.0])), NumberCells(np.array([2.0]))

    with pytest.raises(ValueError, match="different cells"):
        one.count([1]) + other.count([1])


def test_missing_and_faulty_values_have_cells_of_their_own():
    counts = NumberCells(np.array([1.0])).count([1, None, float("nan"), "1", [2], True, 10**400])

    assert counts.values.tolist() == [0, 0, 2, 0, 0, 2, 3]


def test_unseen_missing_and_faulty_categories_have_cells_of_their_own():
    counts = fit_category_cells(["b", "a", None]).count(["a", "z", None, {"$gt": ""}, float("nan"), "a"])

    assert counts.values.tolist() == [2, 0, 1, 2, 1]


def test_whole_numbers_and_their_texts_are_one_category_and_true_is_not_one():
    cells = fit_category_cells([3, 3.0, "3", True, "true"])

    assert cells.categories == ("3", "true")


@given(st.lists(ANYTHING))
@settings(max_examples=100, deadline=None)
def test_no_logged_value_raises_and_each_is_counted_once(values):
    for cells in (
        fit_number_cells([1, 2]),
        fit_number_cells([1, 2], is_date=True),
        fit_category_cells(["a"]),
    ):
        assert cells.count(values).n_rows == len(values)


def test_dates_are_days_however_they_are_written():
    cells = fit_number_cells(["2020-01-01"], is_date=True)
    same = ["2020-01-01", date(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC), "2020-01-01T00:00:00Z", 18262]
    counts = cells.count([*same, "someday"])

    assert counts.values.max() == len(same)
    assert counts.values[-1] == 1


def test_dates_of_numpy_are_days_too():
    counts = NumberCells(np.array([18_262.0]), is_date=True).count(
        np.array(["2020-01-01", "NaT"], "datetime64[D]")
    )

    assert counts.values.tolist() == [0, 0, 1, 0, 0, 1, 0]


def test_many_distinct_values_are_thinned_but_ends_and_frequent_ones_stay():
    values = np.concatenate([np.linspace(0, 1, 10_000), np.full(5_000, 0.123456)])
    borders = fit_number_cells(values, max_cells=100).borders

    assert len(borders) <= 100
    assert {0.0, 0.123456, 1.0} <= set(borders.tolist())


def test_only_the_most_frequent_of_too_many_categories_have_cells():
    cells = fit_category_cells(["common"] * 5 + ["usual"] * 3 + [f"rare {i}" for i in range(50)], max_cells=2)

    assert cells.categories == ("common", "usual")
    assert cells.count(["rare 1"]).values[2] == 1


@given(st.lists(st.integers(0, 2**62), max_size=50), st.integers(0, 2**32 - 1))
def test_packed_counts_come_back(values, layout):
    numbers, found = unpack(pack(np.array(values, dtype=np.int64), layout))

    assert (numbers.tolist(), found) == (values, layout)


def test_an_hour_of_a_thousand_rows_takes_under_a_kilobyte():
    rng = np.random.default_rng(0)
    cells = fit_number_cells(rng.normal(size=20_000))

    assert len(cells.count(rng.normal(size=1_000)).to_bytes()) < 1_000


@given(st.binary(max_size=80))
def test_hostile_bytes_raise_an_integrity_error_or_are_counts(data):
    try:
        counts = Counts.from_bytes(data)
    except IntegrityError:
        return
    assert (counts.values >= 0).all()


def test_damaged_counts_raise_an_integrity_error():
    data = pack(np.arange(1_000), 1)

    for broken in (data[:-1], data[:11], b"\x02" + data[1:], data[:12] + b"x" * 500):
        with pytest.raises(IntegrityError):
            unpack(broken)


def test_a_decompression_bomb_is_not_blown_up():
    bomb = pack(np.zeros(10_000_000, dtype=np.int64), 1)
    small = bomb[:8] + (5).to_bytes(4, "little") + bomb[12:]

    with pytest.raises(IntegrityError, match="should have 5 bytes"):
        unpack(small)


@pytest.mark.parametrize("large", [3, 300, 70_000])
def test_many_packed_counts_are_read_as_one_matrix(large):
    rows = [np.array([0, 1, 2]), np.array([large, 0, 0])]

    found = unpack_rows([pack(rows[0], 7), None, pack(rows[1], 7)], 7, 3)

    assert found.tolist() == [rows[0].tolist(), [0, 0, 0], rows[1].tolist()]


def test_counts_of_other_cells_do_not_become_rows_of_a_matrix():
    with pytest.raises(ValueError, match="different cells"):
        unpack_rows([pack(np.arange(3), 8)], 7, 3)
    with pytest.raises(IntegrityError, match="length"):
        unpack_rows([pack(np.arange(4), 7)], 7, 3)
