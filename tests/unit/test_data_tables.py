"""Every bundled table is made from its committed figures: complete, deterministic and in the public form."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from data import figures, tables
from data.__main__ import main

NAMES = sorted(tables.TABLES)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_the_columns_that_its_description_names(name, tmp_path):
    frame = pd.read_csv(tables.make(name, tmp_path, rows=300))

    assert list(frame.columns) == tables.TABLES[name].header
    assert len(frame) == 300
    assert frame[tables.TABLES[name].target].notna().all()


@pytest.mark.parametrize("name", NAMES)
def test_making_a_table_twice_gives_the_same_bytes(name, tmp_path):
    first = tables.make(name, tmp_path / "a", rows=300, seed=3).read_bytes()
    again = tables.make(name, tmp_path / "b", rows=300, seed=3).read_bytes()
    other = tables.make(name, tmp_path / "c", rows=300, seed=4).read_bytes()

    assert first == again
    assert first != other


@pytest.mark.parametrize("name", NAMES)
def test_every_column_says_what_it_means(name):
    assert all(column.about for column in tables.TABLES[name].columns)


@pytest.mark.parametrize("name", NAMES)
def test_committed_figures_name_their_source_and_hold_no_list_longer_than_a_quantile_grid(name):
    kept = figures.read(tables.figures_path(name))
    numbers = [c for g in kept.groups for c in g.columns.values() if isinstance(c, figures.Number)]

    assert kept.source == tables.TABLES[name].source.title
    assert max(len(number.quantiles) for number in numbers) <= 41
    assert min(group.n_rows for group in kept.groups) >= figures.MIN_GROUP_ROWS


def test_the_songs_table_keeps_the_share_of_reggaeton_and_its_two_tempi(tmp_path):
    songs = pd.read_csv(tables.make("songs", tmp_path))
    tempo = songs.loc[songs["reggaeton"] == 1, "tempo"]

    assert songs["reggaeton"].mean() == pytest.approx(0.0304, abs=0.0005)
    assert tempo.between(85, 110).mean() > 0.6
    assert tempo.between(150, 200).mean() > 0.05


def test_the_command_makes_the_named_tables_and_says_so(tmp_path):
    answer = CliRunner().invoke(main, ["make", "songs", "--rows", "50", "--folder", str(tmp_path), "--json"])

    assert answer.exit_code == 0
    made = json.loads(answer.stdout)
    assert made == [{"path": str(tmp_path / "songs" / "songs.csv"), "rows": 50, "seed": tables.DEFAULT_SEED}]
    assert len(pd.read_csv(made[0]["path"])) == 50


def test_the_command_makes_all_tables(tmp_path):
    answer = CliRunner().invoke(main, ["make", "--all", "--rows", "60", "--folder", str(tmp_path)])

    assert answer.exit_code == 0
    assert sorted(path.stem for path in tmp_path.glob("*/*.csv")) == NAMES


def test_the_command_without_a_name_tells_which_there_are():
    answer = CliRunner().invoke(main, ["make"])

    assert answer.exit_code == 1
    assert "songs" in answer.stderr


def test_measuring_where_no_public_table_is_fails_with_its_name(tmp_path):
    answer = CliRunner().invoke(main, ["measure", "songs", "--from", str(tmp_path)])

    assert answer.exit_code == 1
    assert "data_reggaeton.csv" in answer.stderr
