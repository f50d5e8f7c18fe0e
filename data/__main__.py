"""Command line of the data room: ``python -m data make|fetch|measure``. The work is elsewhere."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
import pandas as pd

from data import fetch, figures, public, tables
from utils.terminal import ProgramGroup

_ROOM = Path(__file__).parent
_NAME = click.Choice(sorted(tables.TABLES))
_as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


@click.group(cls=ProgramGroup)
def main() -> None:
    """Sample tables: make them from figures, fetch the public ones, measure the figures again."""


@main.command()
@click.argument("names", nargs=-1, type=_NAME)
@click.option("--all", "is_all", is_flag=True, help="Make every table.")
@click.option("--rows", type=click.IntRange(min=1), help="Rows of each table; default: that of the table.")
@click.option("--seed", type=click.IntRange(min=0), default=tables.DEFAULT_SEED, show_default=True)
@click.option(
    "--folder", type=click.Path(path_type=Path), default=_ROOM, help="Where NAME/NAME.csv is written."
)
@_as_json
def make(
    names: tuple[str, ...], is_all: bool, rows: int | None, seed: int, folder: Path, is_json: bool
) -> None:
    """Write data/NAME/NAME.csv, simulated from data/NAME/figures.json."""
    if not names and not is_all:
        raise click.ClickException("name a table or give --all; there are: " + ", ".join(tables.TABLES))
    paths = [tables.make(name, folder, rows, seed) for name in (tables.TABLES if is_all else names)]
    made = [{"path": str(path), "rows": _n_rows(path), "seed": seed} for path in paths]
    _show(made, is_json, (f"{m['path']}: {m['rows']} simulated rows" for m in made))


def _n_rows(path: Path) -> int:
    return len(pd.read_csv(path, usecols=[0]))


def _show(answer: object, is_json: bool, lines: Iterable[str]) -> None:
    for line in [json.dumps(answer)] if is_json else lines:
        click.echo(line)


@main.command(name="fetch")
@click.argument("name", type=_NAME)
@click.option("--folder", type=click.Path(path_type=Path), default=_ROOM, help="Where NAME/public/ is made.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=fetch.TIMEOUT_S, help="Seconds.")
@_as_json
def fetch_table(name: str, folder: Path, timeout: float, is_json: bool) -> None:
    """Download the public table to data/NAME/public/ (needs the internet)."""
    table = tables.TABLES[name]
    try:
        fetched = fetch.fetch(table, folder / name / "public", timeout)
    except (fetch.FetchError, public.PublicDataError) as error:
        raise click.ClickException(str(error)) from error
    told = [{"path": str(f.path), "sha256": f.sha256, "bytes": f.n_bytes} for f in fetched.files]
    lines = [f"{f['path']}: {f['bytes']} bytes, sha256 {f['sha256']}" for f in told]
    answer = {
        "path": str(fetched.path),
        "rows": fetched.n_rows,
        "licence": table.source.licence,
        "files": told,
    }
    summary = f"{fetched.path}: {fetched.n_rows} rows; {table.source.title}; licence: {table.source.licence}"
    _show(answer, is_json, [*lines, summary])


@main.command()
@click.argument("name", type=_NAME)
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Folder of the public files.",
)
@click.option("--to", type=click.Path(path_type=Path), help="File to write; default: data/NAME/figures.json.")
@_as_json
def measure(name: str, folder: Path, to: Path | None, is_json: bool) -> None:
    """Measure the figures of the public table and keep them as JSON (no rows)."""
    try:
        found = tables.measure(name, folder, datetime.now(UTC).date())
    except (public.PublicDataError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    path = to or tables.figures_path(name)
    figures.write(found, path)
    answer = {"path": str(path), "rows": found.n_rows, "groups": len(found.groups)}
    _show(answer, is_json, [f"{path}: figures of {found.n_rows} rows in {len(found.groups)} groups"])


if __name__ == "__main__":
    main(prog_name="python -m data")
