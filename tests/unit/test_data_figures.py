"""Figures are aggregated, complete and readable again."""

from datetime import date

import msgspec
import numpy as np
import pandas as pd
import pytest

from data.columns import Column, Source, Table
from data.figures import MIN_GROUP_ROWS, Number, Shares, measure, read, write

SOURCE = Source("made up for this test", "none", {})


def table(*columns: Column, **how: object) -> Table:
    chosen: dict[str, object] = {"groups": ("y",)} | how
    return Table(name="toy", target="y", rows=10, source=SOURCE, columns=columns, **chosen)  # type: ignore[arg-type]


def rows_of(n: int = 400, **cells: object) -> pd.DataFrame:
    return pd.DataFrame({"y": np.arange(n) % 2, **cells})


def test_a_numeric_column_is_kept_as_at_most_41_quantiles_and_its_atoms():
    x = np.r_[np.zeros(500), np.linspace(1, 2, 1500)]
    group = measure(table(Column("x", "number")), rows_of(2000, x=x), date(2024, 1, 2)).groups[0]

    assert isinstance(group.columns["x"], Number)
    assert len(group.columns["x"].quantiles) == 41
    assert group.columns["x"].atoms == [(0.0, 0.25)]
    assert group.columns["x"].quantiles[0] == pytest.approx(1, abs=0.01)


def test_a_small_group_gets_fewer_quantiles():
    x = np.random.default_rng(0).normal(size=100)
    group = measure(table(Column("x", "number")), rows_of(100, x=x), date(2024, 1, 2)).groups[0]

    assert len(group.columns["x"].quantiles) < 30


def test_a_group_too_small_to_be_anonymous_is_refused():
    rows = rows_of(2 * MIN_GROUP_ROWS - 2, x=1.0)

    with pytest.raises(ValueError, match=f"fewer than {MIN_GROUP_ROWS}"):
        measure(table(Column("x", "number")), rows, date(2024, 1, 2))


def test_rare_categories_become_other_where_the_column_says_so():
    cells = np.array(["a", "b", "c", "d"])[np.random.default_rng(0).choice(4, 400, p=[0.5, 0.4, 0.05, 0.05])]
    group = measure(table(Column("c", "category", keep=2)), rows_of(c=cells), date(2024, 1, 2)).groups[0]

    assert isinstance(group.columns["c"], Shares)
    assert set(group.columns["c"].values) == {"a", "b", "Other"}
    assert sum(group.columns["c"].shares) == pytest.approx(1, abs=1e-4)


def test_categories_are_ordered_by_the_mean_of_the_target():
    y = np.arange(400.0)
    cells = np.where(y < 200, "zebra", "ant")
    rows = pd.DataFrame({"y": y, "c": cells})
    found = measure(table(Column("c", "category"), groups=(), bands=1), rows, date(2024, 1, 2))

    assert found.groups[0].columns["c"].values == ["zebra", "ant"]


def test_which_cells_are_empty_is_measured_with_what_it_goes_with():
    kind = np.repeat([1, 2], 200)
    x = np.where((kind == 2) & (np.arange(400) % 4 < 2), np.nan, 1.5)
    columns = (Column("kind", "steps"), Column("x", "number"))
    group = measure(table(*columns), rows_of(kind=kind, x=x), date(2024, 1, 2)).groups[0]

    assert group.gaps == ["x"]
    assert group.columns["x"].missing == pytest.approx(0.25)
    assert group.correlations[0][2] > 0.5  # kind with the gaps of x


def test_bands_of_a_numeric_target_are_equally_large():
    rows = pd.DataFrame({"y": np.arange(400.0), "x": 1.0})
    found = measure(
        table(Column("x", "number"), Column("y", "number"), groups=(), bands=4), rows, date(2024, 1, 2)
    )

    assert [group.n_rows for group in found.groups] == [100] * 4


def test_rows_without_target_are_left_out():
    rows = rows_of(x=1.0)
    rows.loc[:9, "y"] = np.nan

    assert measure(table(Column("x", "number")), rows, date(2024, 1, 2)).n_rows == 390


def test_figures_come_back_from_their_file_as_they_were(tmp_path):
    found = measure(table(Column("x", "number")), rows_of(x=np.linspace(0, 1, 400)), date(2024, 1, 2))
    write(found, tmp_path / "toy" / "figures.json")

    assert read(tmp_path / "toy" / "figures.json") == found


def test_a_file_of_another_shape_is_refused(tmp_path):
    (tmp_path / "figures.json").write_text('{"table": "toy"}')

    with pytest.raises(msgspec.ValidationError):
        read(tmp_path / "figures.json")
