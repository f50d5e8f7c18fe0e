"""Command line of models: ``python -m model init``, ``train``, ``evaluate``, ``versions``, ``train-missing``.

The one place of this room that knows storage: it connects to MongoDB, hands the stores to ``model.versions``,
and prints. Promotion by hand and rollback are in ``python -m mlops``.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from model import artifact, calibration_curve, folders, frame, importing, packing, pickling, training
from model import spec as specs
from model.artifact import PIPELINE, Manifest
from model.bundled import bundled_rows
from model.drafting.commands import init
from model.drafting.places import Place
from model.evaluation import Metrics, evaluate
from model.folder_store import FolderStore
from model.spec import Spec
from model.versions import Versions
from utils import embedded_mongo, logs, settings
from utils.errors import ConflictError, NotFoundError, VigiaError
from utils.mongo import connection, preparation
from utils.mongo.history import HistoryStore
from utils.mongo.versions import VersionStore
from utils.settings import Settings
from utils.terminal import ProgramGroup, as_json, errors, progress_bar, say, user

log = logging.getLogger(__name__)


def _further_models(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    """Take ``--models`` behind the command, too."""
    context.obj = value or context.obj


_further = click.option(
    "--models",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    expose_value=False,
    callback=_further_models,
    help="Further folder of specs.",
)
_models = click.option(
    "--models", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Further folder of specs."
)
FOLDER = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True)
class Storage:
    """Stores, and the specs there are."""

    store: VersionStore
    history: HistoryStore
    versions: Versions
    folders: tuple[Path, ...]
    remembered: tuple[Path, ...]
    default_model: str

    def spec(self, model: str) -> tuple[Spec, Path]:
        """Return a model's spec and file, also from where ``init`` wrote. Raises NotFoundError."""
        return specs.find(model, (*self.remembered, *self.folders))

    def champion(self, model: str) -> Manifest:
        """Return the verified manifest of a model's champion. Raises NotFoundError if it has none."""
        newest = self.history.current(model)
        if newest is None:
            raise NotFoundError(
                f"{model} has no champion yet. Train one: python -m model train {model} --promote"
            )
        return self.versions.manifest(model, newest["version"])

    def promote(self, model: str, version: str, reason: str, expected_seq: int | None = None) -> None:
        """Make a version the champion."""
        self.history.append(model, version, "promote", reason, user(), expected_seq)


@click.group(cls=ProgramGroup)
@_models
@click.pass_context
def main(context: click.Context, models: Path | None) -> None:
    """Train and evaluate models. Exit codes: 0 fine, 1 error, 2 a gate failed."""
    context.obj = models


main.add_command(init)


@main.command()
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path), help="Train on this file instead of the spec's.")
@click.option("--promote", is_flag=True, help="Make the new version the champion.")
@click.option("--out", type=FOLDER, help="Write the version to this folder, without MongoDB.")
@_further
@as_json
@click.pass_obj
def train(
    models: Path | None, name: str, data: Path | None, promote: bool, out: Path | None, is_json: bool
) -> None:
    """Train NAME and store it as a new version: a challenger, or with --promote the champion."""
    if out is not None:
        if promote:
            raise click.UsageError("A version in a folder answers nobody; leave --promote or --out out.")
        manifest = _train_to(out, models, name, data)
        say(_description(manifest), f"{name} is in {out}.\n{_table(manifest.metrics)}", is_json)
        return
    with _storage(models) as storage:
        spec, path = storage.spec(name)
        manifest = _train(storage.versions, spec, data or bundled_rows(spec, path))
        if promote:
            storage.promote(name, manifest.version, "trained with --promote")
    told = _description(manifest) | {"is_champion": promote}
    state = "champion" if promote else "challenger"
    say(told, f"{name} {manifest.version} is {state}.\n{_table(manifest.metrics)}", is_json)


def _train_to(out: Path, models: Path | None, name: str, data: Path | None) -> Manifest:
    """Train without MongoDB; the version goes into a folder."""
    with errors():
        found = _settings()
        spec, path = specs.find(name, (*folders.remembered(found), *_places(found, models)))
        return _train(_folder_versions(out, found), spec, data or bundled_rows(spec, path))


def _folder_versions(folder: Path, found: Settings) -> Versions:
    return Versions(FolderStore(folder), artifact.signing_key(found))


def _train(versions: Versions, spec: Spec, path: Path) -> Manifest:
    table = frame.read_table(path, spec)
    trained = training.train(spec, table, progress_bar(spec.name))
    return versions.add(trained, source=path.name, source_digest=packing.file_digest(path))


@main.command("evaluate")
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Labelled rows, CSV or Parquet.")
@click.option("--from", "folder", type=FOLDER, help="The version that `train --out` wrote here, instead.")
@click.option("--curve", type=click.Path(path_type=Path), help="Write predicted and observed means as CSV.")
@_further
@as_json
@click.pass_obj
def evaluate_command(
    models: Path | None, name: str, data: Path, folder: Path | None, curve: Path | None, is_json: bool
) -> None:
    """Score a labelled file with the champion of NAME."""
    if folder is not None:
        with errors():
            versions = _folder_versions(folder, _settings())
            manifest = versions.manifest(name, "1")
            content = versions.part(name, "1", PIPELINE)
    else:
        with _storage(models) as storage:
            manifest = storage.champion(name)
            content = storage.versions.part(name, manifest.version, PIPELINE)
    with errors():
        n_rows, metrics = _evaluated(manifest, pickling.load(content, manifest), data, curve)
    told = {"model": name, "version": manifest.version, "rows": n_rows, "metrics": metrics}
    say(told, f"{name} {manifest.version} on {n_rows} rows of {data.name}\n{_table(metrics)}", is_json)


def _evaluated(manifest: Manifest, pipeline: Any, data: Path, curve: Path | None) -> tuple[int, Metrics]:
    spec = manifest.resolved_spec()
    rows = frame.labelled_rows(spec, frame.read_table(data, spec))
    scores = training.scored(pipeline, spec, rows.features)
    if curve is not None:
        calibration_curve.write(curve, calibration_curve.calibration(spec, rows.y, scores))
    return len(rows), evaluate(spec, rows.y, scores, manifest.threshold)


@main.command("import")
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="CSV with some rows.")
@click.option("--target", help="Column of the labels; default: the one that the pipeline does not use.")
@click.option("--name", help="Name of the model; default: that of the file.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the spec.")
@click.option("--force", is_flag=True, help="Write over a spec of that name.")
@click.option("--promote", is_flag=True, help="Make the new version the champion.")
@as_json
@click.pass_obj
def import_pipeline(
    models: Path | None,
    pipeline: Path,
    data: Path,
    target: str | None,
    name: str | None,
    out: Path | None,
    force: bool,
    promote: bool,
    is_json: bool,
) -> None:
    """Take a fitted PIPELINE (joblib or pickle) over as a model. Unpickles: only for files you trust."""
    click.echo(importing.WARNING.format(pipeline), err=True)
    with _storage(models) as storage:
        place = Place.of(pipeline, name, out, force)
        imported = importing.take_over(importing.load(pipeline), data, place.name, target, place.train(data))
        place.write(importing.text_of(imported, pipeline.name))
        manifest = storage.versions.add(
            imported.trained, source=data.name, source_digest=packing.file_digest(data)
        )
        if promote:
            storage.promote(place.name, manifest.version, f"imported from {pipeline.name}")
    told = _description(manifest) | {"is_champion": promote, "spec": str(place.path)}
    told["doubts"] = imported.doubts
    doubts = "\n".join(f"  [{doubt.code}] {doubt}" for doubt in imported.doubts)
    state = "champion" if promote else "challenger"
    say(
        told,
        f"{place.path}\n{place.name} {manifest.version} is {state}.\n{_table(manifest.metrics)}\n\n"
        f"Please look at:\n{doubts}",
        is_json,
    )


@main.command()
@click.argument("name", required=False)
@_further
@as_json
@click.pass_obj
def versions(models: Path | None, name: str | None, is_json: bool) -> None:
    """List the versions of NAME, or of all models, newest first."""
    with _storage(models) as storage:
        names = [name] if name else storage.store.models()
        found = [entry for model in names for entry in _versions(storage, model)]
    lines = [_line(entry) for entry in found]
    say(found, "\n".join(lines) or "No version is stored yet.", is_json)


def _versions(storage: Storage, model: str) -> list[dict[str, Any]]:
    newest = storage.history.current(model)
    champion = newest["version"] if newest else None
    names = [str(document["version"]) for document in reversed(storage.store.all(model))]
    return [_verified(storage, model, name) | {"is_champion": name == champion} for name in names]


def _verified(storage: Storage, model: str, version: str) -> dict[str, Any]:
    try:
        return _description(storage.versions.manifest(model, version))
    except VigiaError as error:
        return {"model": model, "version": version, "problem": error.detail}


def _line(entry: dict[str, Any]) -> str:
    if "problem" in entry:
        return f"{entry['model']:<16} {entry['version']:>5}  {entry['problem']}"
    mark = "champion" if entry["is_champion"] else ""
    shown = [f"{name} {value:.4g}" for name, value in list(entry["metrics"].items())[:3] if value is not None]
    head = f"{entry['model']:<16} {entry['version']:>5}  {entry['created_at']:%Y-%m-%d %H:%M}"
    return f"{head}  {mark:<8}  {', '.join(shown)}"


@main.command("train-missing")
@as_json
@click.pass_obj
def train_missing(models: Path | None, is_json: bool) -> None:
    """Train and promote every model that has no champion, the default model first."""
    with _storage(models) as storage:
        found = train_missing_models(storage)
    failed = [one for one in found if one["problem"]]
    lines = [
        f"{one['model']}: {one['problem'] or 'version ' + one['version'] + ' is champion'}" for one in found
    ]
    say(found, "\n".join(lines) or "Every model has a champion.", is_json)
    sys.exit(1 if failed else 0)


def train_missing_models(storage: Storage) -> list[dict[str, str]]:
    """Train and promote every model without a champion; what is wrong with one does not stop the others."""
    live = storage.history.champions()
    missing = [one for name, one in specs.load_all(storage.folders).items() if name not in live]
    missing.sort(key=lambda one: one[0].name != storage.default_model)
    return [_first_version(storage, spec, path) for spec, path in missing]


def _first_version(storage: Storage, spec: Spec, path: Path) -> dict[str, str]:
    try:
        manifest = _train(storage.versions, spec, bundled_rows(spec, path))
        storage.promote(spec.name, manifest.version, "first version", expected_seq=0)
    except ConflictError:
        log.info("%s got a champion from elsewhere in the meantime", spec.name)
        return {"model": spec.name, "version": storage.champion(spec.name).version, "problem": ""}
    except VigiaError as error:
        log.error("%s cannot be trained: %s", spec.name, error.detail)
        return {"model": spec.name, "version": "", "problem": error.detail}
    return {"model": spec.name, "version": manifest.version, "problem": ""}


def _description(manifest: Manifest) -> dict[str, Any]:
    """Return what people and programs want to know of a version."""
    names = ("model", "version", "created_at", "metrics", "cross_validation", "threshold", "trained_on")
    return {n: getattr(manifest, n) for n in (*names, "seconds", "not_compiled")}


@contextmanager
def _storage(models: Path | None) -> Iterator[Storage]:
    """Everything connected: to MONGO_URI, or to the private MongoDB, which is started if it does not run."""
    with errors():
        found = _settings()
        if found.mongo_uri is not None:
            with _connected(found, found.mongo_uri, models) as storage:
                yield storage
            return
        with (
            embedded_mongo.start(found.state_dir, found.mongod) as mongo,
            _connected(found, mongo.uri, models) as storage,
        ):
            yield storage


def _settings() -> Settings:
    found = settings.load(os.environ)
    logs.configure(found.log_level, found.log_format)
    return found


def _places(found: Settings, models: Path | None) -> tuple[Path, ...]:
    return (*folders.folders(found), *([models] if models else []))


@contextmanager
def _connected(found: Settings, uri: str, models: Path | None) -> Iterator[Storage]:
    db = connection.connect(uri, found.mongo_db)
    try:
        preparation.prepare(db, found.retention_days)
        store = VersionStore(db)
        versions = Versions(store, artifact.signing_key(found))
        known = folders.remembered(found)
        yield Storage(store, HistoryStore(db), versions, _places(found, models), known, found.default_model)
    finally:
        connection.close(db)


def _table(metrics: Metrics) -> str:
    return "\n".join(f"  {name:<18} {'-' if v is None else format(v, '.4f')}" for name, v in metrics.items())


if __name__ == "__main__":
    main(prog_name="python -m model")
