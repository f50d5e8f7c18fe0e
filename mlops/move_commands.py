"""``python -m mlops export``, ``import`` and ``copy``: everything, to a folder, back, or to another place."""

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import click

from mlops import moving
from mlops.moving import Manifest
from mlops.operations import Operations
from utils.mongo import connection, indexes
from utils.mongo.dump import Dump
from utils.terminal import as_json, progress_bar, say

Connected = Callable[[], AbstractContextManager[Operations]]
FOLDER = click.Path(file_okay=False, path_type=Path)


def add_to(main: click.Group, operations: Connected) -> None:
    """Add the commands; ``operations`` connects."""
    for command in (_export(operations), _import(operations), _copy(operations)):
        main.add_command(command)


def _export(operations: Connected) -> click.Command:
    @click.command("export")
    @click.argument("folder", type=FOLDER)
    @click.option("--parquet", is_flag=True, help="Also write the predictions as predictions.parquet.")
    @as_json
    def export(folder: Path, parquet: bool, is_json: bool) -> None:
        """Write everything that MongoDB keeps into FOLDER: NDJSON, JSON, and the parts of model versions."""
        with operations() as connected:
            dump = Dump(connected.services.db)
            _say(
                moving.export(dump, folder, progress_bar("export"), with_parquet=parquet), "written", is_json
            )

    return export


def _import(operations: Connected) -> click.Command:
    @click.command("import")
    @click.argument("folder", type=FOLDER)
    @click.option("--merge", is_flag=True, help="Add to what is there, and leave that as it is.")
    @as_json
    def load(folder: Path, merge: bool, is_json: bool) -> None:
        """Store what FOLDER holds, and compare counts and digests."""
        with operations() as connected:
            dump = Dump(connected.services.db)
            _say(
                moving.load(dump, folder, progress_bar("import"), is_merge=merge),
                "stored, as exported",
                is_json,
            )

    return load


def _copy(operations: Connected) -> click.Command:
    @click.command("copy")
    @click.option("--to", "uri", required=True, help="URI of the other MongoDB; it must be a replica set.")
    @click.option("--to-db", "name", help="Database there (MONGO_DB).")
    @as_json
    def copy(uri: str, name: str | None, is_json: bool) -> None:
        """Copy everything into another MongoDB, as from the private one to a real one, and compare.

        The other deployment needs the same SIGNING_KEY, or the file signing-key of STATE_DIR.
        """
        with operations() as connected:
            settings = connected.services.settings
            target = connection.connect(uri, name or settings.mongo_db)
            try:
                indexes.ensure(target, settings.retention_days)
                with tempfile.TemporaryDirectory(dir=settings.state_dir) as folder:
                    ends = Dump(connected.services.db), Dump(target)
                    _say(moving.copy(*ends, Path(folder) / "copy", progress_bar("copy")), "copied", is_json)
            finally:
                connection.close(target)

    return copy


def _say(manifest: Manifest, what: str, is_json: bool) -> None:
    n_documents = sum(part.n_documents for part in manifest.collections.values())
    text = f"{n_documents} documents and {len(manifest.files)} artifacts {what}."
    say(manifest, text, is_json)
