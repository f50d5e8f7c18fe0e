"""``python -m model init``: a spec for a table of one's own."""

from pathlib import Path

import click

from model.drafting.drafting import Draft, draft
from model.drafting.places import Place
from utils.terminal import as_json, errors, say


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="Column to predict.")
@click.option("--name", help="Name of the model; default: that of the file.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the spec.")
@click.option("--force", is_flag=True, help="Write over a spec of that name.")
@as_json
def init(data: Path, target: str, name: str | None, out: Path | None, force: bool, is_json: bool) -> None:
    """Write a first spec for DATA, a CSV or Parquet file, and say what is doubtful about it."""
    with errors():
        place = Place.of(data, name, out, force)
        drafted = draft(data, target, place.name, place.train(data))
        place.write(drafted.text)
    say(_told(place, drafted), _text(place, drafted), is_json)


def _told(place: Place, drafted: Draft) -> dict[str, object]:
    spec = drafted.spec
    return {
        "spec": str(place.path),
        "name": spec.name,
        "task": spec.task,
        "rows": drafted.n_rows,
        "features": list(spec.features),
        "left_out": [*([spec.id] if spec.id else []), *spec.ignored],
        "doubts": drafted.doubts,
    }


def _text(place: Place, drafted: Draft) -> str:
    spec = drafted.spec
    found = f"{spec.task} of {spec.target.name} by {len(spec.features)} columns, {drafted.n_rows} rows"
    lines = [f"{place.path}: {found}."]
    if drafted.doubts:
        lines += ["", "Please look at:", *(f"  [{doubt.code}] {doubt}" for doubt in drafted.doubts)]
    commands = (f"python -m model train {spec.name} --promote", f"python -m app --models {place.path.parent}")
    return "\n".join([*lines, "", "Next:", *(f"  {command}" for command in commands)])
