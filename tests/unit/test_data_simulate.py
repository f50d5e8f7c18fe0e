"""Rows drawn from figures have the marginals, shares and correlations of the figures."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from data.columns import Column, Source, Table
from data.figures import Figures, Group, Number, Shares, measure
from data.simulate import allot, invert, latent_factor, nearest_correlation, rounded, simulate

SOURCE = Source("made up for this test", "none", {})
TABLE = Table(
    name="toy",
    target="y",
    rows=100,
    groups=("y",),
    source=SOURCE,
    columns=(
        Column("height", "number", decimals=2),
        Column("rooms", "steps"),
        Column("colour", "category"),
        Column("shade", "nested", given=("colour",)),
        Column("y", "steps"),
        Column("id", "id"),
    ),
)


def toy_rows(n: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    height = rng.exponential(10, n)
    colour = np.where(height + rng.normal(0, 5, n) > 10, "red", "blue")
    frame = pd.DataFrame({"height": height, "rooms": (height // 8).clip(0, 4), "colour": colour})
    frame["shade"] = np.where(colour == "red", "dark", "light")
    frame["y"] = (np.arange(n) % 4 == 0).astype(int)
    frame.loc[::10, "height"] = np.nan
    frame.loc[1::10, "height"] = 0.0
    return frame


def toy_figures() -> Figures:
    return measure(TABLE, toy_rows(), date(2024, 1, 2))


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    first, again, other = (simulate(TABLE, toy_figures(), 50, seed) for seed in (1, 1, 2))

    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_columns_come_in_the_order_of_the_table_with_as_many_rows_as_asked():
    frame = simulate(TABLE, toy_figures(), 37, seed=1)

    assert list(frame.columns) == ["height", "rooms", "colour", "shade", "y", "id"]
    assert len(frame) == 37
    assert sorted(frame["id"]) == list(range(1, 38))


def test_class_share_atoms_and_missing_cells_keep_their_share():
    frame = simulate(TABLE, toy_figures(), 4000, seed=1)

    assert frame["y"].mean() == pytest.approx(0.25, abs=1e-9)
    assert frame["height"].isna().mean() == pytest.approx(0.1, abs=0.02)
    assert (frame["height"] == 0).mean() == pytest.approx(0.1, abs=0.02)


def test_rank_correlations_of_tied_columns_come_out_as_measured():
    rows = toy_rows()
    frame = simulate(TABLE, toy_figures(), 8000, seed=1)

    wanted = rows["height"].corr(rows["rooms"], method="spearman")
    got = frame["height"].astype(float).corr(frame["rooms"].astype(float), method="spearman")
    assert got == pytest.approx(wanted, abs=0.05)


def test_a_category_follows_a_number_as_in_the_measured_rows():
    frame = simulate(TABLE, toy_figures(), 4000, seed=1)

    means = frame.groupby("colour")["height"].mean()
    assert means["red"] > 1.5 * means["blue"]


def test_a_nested_column_only_takes_values_seen_with_the_column_it_depends_on():
    frame = simulate(TABLE, toy_figures(), 500, seed=1)

    assert set(zip(frame["colour"], frame["shade"], strict=True)) == {("red", "dark"), ("blue", "light")}


def test_an_atom_takes_exactly_its_share_of_the_levels():
    figures = Number(quantiles=[0.0, 10.0], atoms=[(5.0, 0.4)])
    values = invert(figures, (np.arange(1000) + 0.5) / 1000)

    assert (values == 5.0).sum() == 400
    assert np.all(np.diff(values) >= 0)


@pytest.mark.parametrize(("weights", "rows"), [([49, 1563], 8000), ([1, 1, 1], 10), ([5], 3), ([1, 999], 10)])
def test_rows_are_split_without_losing_one(weights, rows):
    sizes = allot(weights, rows)

    assert sum(sizes) == rows
    assert all(abs(n - rows * w / sum(weights)) < 1 for n, w in zip(sizes, weights, strict=True))


def test_an_impossible_correlation_matrix_becomes_a_possible_one():
    impossible = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    lifted = nearest_correlation(impossible)

    assert np.linalg.eigvalsh(lifted).min() > 0
    assert np.diag(lifted) == pytest.approx(1.0)


def test_a_constant_column_and_an_empty_one_do_no_harm():
    columns = {"a": Shares(values=[4.0], shares=[1.0]), "b": Number(missing=1.0), "c": Shares(missing=1.0)}
    group = Group(keys={}, n_rows=50, columns=columns, gaps=[], correlations=np.eye(3).tolist())
    factor = latent_factor(group, np.random.default_rng(0))

    assert np.isfinite(factor).all()


def test_numbers_are_rounded_as_their_column_says():
    values = np.array([0.0123456, 12.3456])

    assert rounded(values, Column("a", "number", decimals=2)).tolist() == [0.01, 12.35]
    assert rounded(values, Column("a", "number", significant=3)).tolist() == [0.0123, 12.3]
