"""The README of the data room names every table, column and source as the code has them."""

from pathlib import Path

import pytest

import data
from data import figures, tables

README = (Path(data.__file__).parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(tables.TABLES))
def test_every_column_stands_in_the_readme_with_its_meaning(name):
    section = README.split(f"### {name}\n")[1].split("###")[0]
    listed = [line for line in section.splitlines() if line.startswith("| `")]

    assert listed == [f"| `{column.name}` | {column.about} |" for column in tables.TABLES[name].columns]


@pytest.mark.parametrize("name", sorted(tables.TABLES))
def test_the_readme_states_target_rows_and_licence_of_each_table(name):
    table = tables.TABLES[name]
    line = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))

    assert f"`{table.target}`" in line
    assert f"{table.rows:,}" in line
    assert table.source.licence.split(" (")[0].split(";")[0] in line


@pytest.mark.parametrize("name", sorted(tables.TABLES))
def test_the_readme_states_on_how_many_rows_the_figures_were_measured(name):
    kept = figures.read(tables.figures_path(name))
    line = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))

    assert f"{kept.n_rows:,}" in line or "49 + 1,563" in line
