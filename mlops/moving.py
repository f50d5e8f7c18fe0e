"""Everything that MongoDB keeps, into a folder of open formats and back, compared by counts and digests.

A folder has ``manifest.json``, one file ``NAME.ndjson`` a collection, and the parts of model versions below
``artifacts``. Where it is wanted, ``predictions.parquet`` is there for other tools; nothing is read from it.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from utils.errors import ConflictError, IntegrityError, NotFoundError, VigiaError
from utils.mongo.dump import Digest, Dump, parsed
from utils.mongo.shape import SCHEMA_VERSION
from utils.time import now

FORMAT = 1
MANIFEST = "manifest.json"
PARQUET = "predictions.parquet"
PARQUET_ROWS = 20_000
COLLECTION = re.compile(r"[a-z_]{1,60}")
FILE_ID = re.compile(r"[0-9a-f]{24}")

Step = Callable[[str, int, int], None]


class Part(msgspec.Struct, frozen=True):
    """One collection: how many documents, and their digest."""

    n_documents: int
    digest: str


class File(msgspec.Struct, frozen=True):
    """One part of a model version: its id and name in the store, where it lies in the folder, its SHA-256."""

    id: str
    name: str
    path: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a folder holds."""

    at: datetime
    collections: dict[str, Part]
    files: list[File]
    format: int = FORMAT
    schema_version: int = 0


def export(dump: Dump, folder: Path, on_step: Step, *, with_parquet: bool = False) -> Manifest:
    """Write everything into ``folder``, which must not exist or be empty.

    Raises
    ------
    ConflictError
        If something is there already.
    UnavailableError
        If MongoDB goes away meanwhile; the folder has no manifest then.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty.")
    folder.mkdir(parents=True, exist_ok=True)
    names = dump.collections()
    found: dict[str, Part] = {}
    for number, name in enumerate(names):
        on_step(name, number, len(names) + 1)
        found[name] = _write_lines(dump, name, folder / f"{name}.ndjson")
    on_step("artifacts", len(names), len(names) + 1)
    files = [_write_file(dump, folder, *file) for file in dump.files()]
    if with_parquet:
        write_parquet(folder / "predictions.ndjson", folder / PARQUET)
    manifest = Manifest(now(), found, files, schema_version=dump.schema_version)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def load(dump: Dump, folder: Path, on_step: Step, *, is_merge: bool = False) -> Manifest:
    """Store what ``export`` wrote, and compare counts and digests with the manifest.

    Parameters
    ----------
    is_merge : bool
        Whether the database may hold documents; those that it has stay as they are.

    Raises
    ------
    NotFoundError, IntegrityError
        If the folder is incomplete or changed, before anything is stored; or if what is stored differs.
    ConflictError
        If the database is not empty.
    """
    manifest = read_manifest(folder)
    _check(folder, manifest)
    if not is_merge:
        _check_empty(dump, manifest)
    for number, name in enumerate(manifest.collections):
        on_step(name, number, len(manifest.collections) + 1)
        with (folder / f"{name}.ndjson").open(encoding="utf-8") as file:
            dump.fill(name, file)
    on_step("artifacts", len(manifest.collections), len(manifest.collections) + 1)
    for one in manifest.files:
        dump.put(one.id, one.name, (folder / one.path).read_bytes())
    _compare(dump, manifest, is_merge=is_merge)
    version = manifest.schema_version
    dump.note_schema_version(min(version, dump.schema_version) if is_merge else version)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Return what a folder says it holds. Raises NotFoundError or IntegrityError."""
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFoundError(f"{folder} has no {MANIFEST}; it is no export, or one that did not end.")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"{path} cannot be read: {error}.") from None
    if manifest.format != FORMAT:
        raise IntegrityError(f"{path} is of format {manifest.format}; this program reads {FORMAT}.")
    if manifest.schema_version > SCHEMA_VERSION:
        known = f"this program knows {SCHEMA_VERSION}. Import it with the newer program."
        raise IntegrityError(f"{path} has schema version {manifest.schema_version}; {known}")
    return manifest


def _write_lines(dump: Dump, name: str, path: Path) -> Part:
    digest = Digest()
    with path.open("w", encoding="utf-8") as file:
        for line in dump.lines(name):
            digest.add(line)
            file.write(f"{line}\n")
    return Part(digest.n_lines, digest.text)


def _write_file(dump: Dump, folder: Path, file_id: str, name: str) -> File:
    content = dump.content(file_id)
    path = Path("artifacts") / re.sub(r"[^A-Za-z0-9._/-]|\.\.", "_", name.strip("/"))
    if (folder / path).exists():
        path = path.with_name(f"{path.name}.{file_id}")
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return File(file_id, name, str(path), hashlib.sha256(content).hexdigest())


def _check(folder: Path, manifest: Manifest) -> None:
    """Raise IntegrityError unless every file is there and is what the manifest says."""
    for name, part in manifest.collections.items():
        if not COLLECTION.fullmatch(name):
            raise IntegrityError(f"{MANIFEST} names the collection {name[:60]!r}.")
        if _part(_lines(folder / f"{name}.ndjson")) != part:
            raise IntegrityError(f"{name}.ndjson is not what {MANIFEST} says.")
    for one in manifest.files:
        path = (folder / one.path).resolve()
        if not path.is_relative_to(folder.resolve()) or not FILE_ID.fullmatch(one.id):
            raise IntegrityError(f"{MANIFEST} names a file outside of the folder: {one.path[:100]!r}.")
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != one.sha256:
            raise IntegrityError(f"{one.path} is not what {MANIFEST} says.")


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise IntegrityError(f"{path.name} is missing.")
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def _part(lines: Iterator[str]) -> Part:
    digest = Digest()
    for line in lines:
        digest.add(line)
    return Part(digest.n_lines, digest.text)


def _check_empty(dump: Dump, manifest: Manifest) -> None:
    taken = [name for name in manifest.collections if dump.count(name)]
    if taken:
        raise ConflictError(
            f"The database is not empty ({', '.join(taken)}). Import into another one (MONGO_DB), or --merge."
        )


def _compare(dump: Dump, manifest: Manifest, *, is_merge: bool) -> None:
    for name, part in manifest.collections.items():
        stored = _part(dump.lines(name))
        is_there = stored.n_documents >= part.n_documents if is_merge else stored == part
        if not is_there:
            counts = f"{stored.n_documents} documents for the {part.n_documents} exported"
            raise IntegrityError(f"{name} is stored differently: {counts}.")
    for one in manifest.files:
        if hashlib.sha256(dump.content(one.id)).hexdigest() != one.sha256:
            raise IntegrityError(f"{one.name} was stored differently.")


def copy(source: Dump, target: Dump, workshop: Path, on_step: Step) -> Manifest:
    """Copy everything from one database into another, empty one, by way of a folder that goes afterwards."""
    try:
        export(source, workshop, on_step)
        return load(target, workshop, on_step)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def write_parquet(lines: Path, path: Path) -> None:
    """Write logged predictions as one flat table: features as ``feature.NAME``, values as they are logged.

    Raises
    ------
    VigiaError
        If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise VigiaError("Parquet needs pyarrow: pip install -r requirements-local.txt.") from None
    columns: dict[str, list[Any]] = {}
    n_rows = 0
    for line in _lines(lines) if lines.is_file() else ():
        _add_row(columns, _flat(parsed(line)), n_rows)
        n_rows += 1
    filled = {name: [*values, *[None] * (n_rows - len(values))] for name, values in columns.items()}
    table = pa.table({name: _column(pa, values) for name, values in filled.items()})
    pq.write_table(table, path, row_group_size=PARQUET_ROWS)


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    nested = {f"feature.{name}": value for name, value in document.get("features", {}).items()}
    kept = {f"kept.{name}": value for name, value in document.get("kept", {}).items()}
    plain = {n: v for n, v in document.items() if n not in ("features", "kept", "warnings")}
    return {"prediction_id": plain.pop("_id"), **plain, **nested, **kept}


def _add_row(columns: dict[str, list[Any]], row: Mapping[str, Any], n_rows: int) -> None:
    for name, value in row.items():
        column = columns.setdefault(name, [])
        column.extend([None] * (n_rows - len(column)))
        column.append(value)


def _column(pa: Any, values: list[Any]) -> Any:
    """Return a column, as text where its values are of more than one kind."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])
