"""``python -m model init``: a spec for a table of one's own."""

import os
import re
from pathlib import Path

import click

from model import folders
from model import spec as specs
from model.drafting.doubts import Doubt
from model.drafting.drafting import Draft, draft
from model.terminal import errors, say
from utils import settings
from utils.errors import ConflictError
from utils.settings import Settings

MAX_NAME = 63


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="Column to predict.")
@click.option("--name", help="Name of the model; default: that of the file.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the spec.")
@click.option("--force", is_flag=True, help="Write over a spec of that name.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def init(data: Path, target: str, name: str | None, out: Path | None, force: bool, is_json: bool) -> None:
    """Write a first spec for DATA, a CSV or Parquet file, and say what is doubtful about it."""
    with errors():
        found = settings.load(os.environ)
        folder = out or folders.home(found)
        model = name or free_name(data, found, folder)
        path = target_file(folder, model, force)
        drafted = draft(data, target, model, train_path(data, folder))
        write(path, drafted, found)
    say(_told(path, drafted), _text(path, drafted), is_json)


def free_name(data: Path, found: Settings, folder: Path) -> str:
    """Return a name made of that of the file, other than those of the bundled models."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", data.name.split(".")[0]).strip("_-")[: MAX_NAME - 4] or "model"
    taken = {
        name for name, (_, path) in specs.load_all(folders.folders(found)).items() if path.parent != folder
    }
    return next(name for name in (stem, *(f"{stem}-{i}" for i in range(2, 1_000))) if name not in taken)


def target_file(folder: Path, name: str, is_forced: bool) -> Path:
    """Return the file of a new spec. Raises ConflictError if it is there and may not be written over."""
    path = folder / f"{name}.yaml"
    if path.exists() and not is_forced:
        raise ConflictError(f"{path} is there already; --force writes over it, --name takes another name.")
    return path


def train_path(data: Path, folder: Path) -> str:
    """Return how a spec in a folder names a file: relative, so that both can move together."""
    return Path(os.path.relpath(data.resolve(), folder.resolve())).as_posix()


def write(path: Path, drafted: Draft, found: Settings) -> None:
    """Write the spec, whole or not at all, and let the command line find it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(drafted.text, encoding="utf-8")
    partial.replace(path)
    folders.remember(found, path.parent)


def _told(path: Path, drafted: Draft) -> dict[str, object]:
    return {
        "spec": str(path),
        "name": drafted.spec.name,
        "task": drafted.spec.task,
        "rows": drafted.n_rows,
        "features": list(drafted.spec.features),
        "left_out": [*([drafted.spec.id] if drafted.spec.id else []), *drafted.spec.ignored],
        "doubts": drafted.doubts,
    }


def _text(path: Path, drafted: Draft) -> str:
    spec = drafted.spec
    lines = [
        f"{path}: {spec.task} of {spec.target.name} by {len(spec.features)} columns, {drafted.n_rows} rows."
    ]
    lines += ["", "Please look at:"] if drafted.doubts else []
    lines += [f"  {_line(doubt)}" for doubt in drafted.doubts]
    lines += [
        "",
        "Next:",
        f"  python -m model train {spec.name} --promote",
        f"  python -m app --models {path.parent}",
    ]
    return "\n".join(lines)


def _line(doubt: Doubt) -> str:
    return f"[{doubt.code}] {doubt}"
