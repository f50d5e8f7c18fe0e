"""Held-out rows and folds."""

import numpy as np
import pandas as pd
import pytest

from model import splitting
from model.frame import Rows


def rows(n_rows, n_positive=None, seed=0):
    rng = np.random.default_rng(seed)
    y = np.zeros(n_rows, dtype=np.int64)
    y[: n_rows // 3 if n_positive is None else n_positive] = 1
    return Rows(pd.DataFrame({"a": rng.normal(size=n_rows), "b": rng.choice(["x", "y", None], n_rows)}), y)


def test_about_a_fifth_is_held_out():
    assert splitting.held_out(rows(5_000), "classification").mean() == pytest.approx(0.2, abs=0.02)


def test_a_held_out_row_stays_held_out_in_a_larger_table_in_another_order():
    small, more = rows(400), rows(400, seed=1)
    both = Rows(pd.concat([more.features, small.features]), np.concatenate([more.y, small.y]))

    assert (splitting.held_out(both, "regression")[400:] == splitting.held_out(small, "regression")).all()


def test_whole_numbers_are_spread_as_evenly_as_fractions():
    table = Rows(pd.DataFrame({"a": np.arange(5_000.0)}), np.zeros(5_000))

    assert splitting.held_out(table, "regression").mean() == pytest.approx(0.2, abs=0.02)


def test_equal_rows_are_never_on_both_sides_nor_in_two_folds():
    once = rows(300)
    twice = Rows(pd.concat([once.features, once.features[:100]]), np.concatenate([once.y, once.y[:100]]))
    held = splitting.held_out(twice, "classification")
    fold = np.empty(400, dtype=int)
    for number, positions in enumerate(splitting.folds(twice, "classification")):
        fold[positions] = number

    assert (held[:100] == held[300:]).all()
    assert (fold[:100] == fold[300:]).all()


def test_where_most_rows_look_alike_they_are_cases_of_their_own():
    table = Rows(pd.DataFrame({"a": np.arange(1_000.0) % 3}), np.zeros(1_000))

    assert splitting.held_out(table, "regression").mean() == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("n_positive", [2, 3, 7])
def test_a_rare_class_is_on_both_sides(n_positive):
    table = rows(200, n_positive)
    held = splitting.held_out(table, "classification")

    assert 0 < table.y[held].sum() < n_positive


def test_classes_are_spread_evenly_over_the_folds():
    table = rows(503, 51)
    positives = [int(table.y[positions].sum()) for positions in splitting.folds(table, "classification")]

    assert len(positives) == 5
    assert max(positives) - min(positives) <= 1


def test_folds_hold_each_row_once():
    together = np.concatenate(splitting.folds(rows(101), "classification"))

    assert sorted(together) == list(range(101))


def test_a_class_of_three_rows_makes_three_folds():
    assert len(splitting.folds(rows(100, 3), "classification")) == 3
