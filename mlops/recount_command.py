"""``python -m mlops recount``: counts of drift checks made again, or from a file, on many processes."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from mlops.operations import Operations
from mlops.recounting import (
    Counted,
    FilePart,
    LogPart,
    compared,
    count_file,
    count_log,
    digest_of,
    fill,
    sum_of,
)
from utils.errors import NotFoundError, SettingsError, VigiaError
from utils.terminal import as_json, say

DIFFERENT = 2
RANGES_A_WORKER = 4


def recount_command(operations: Callable[[], AbstractContextManager[Operations]]) -> click.Command:
    """Return the command; ``operations`` connects to everything."""

    @click.command("recount")
    @click.argument("model")
    @click.option(
        "--data",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Fill in the rows of this Parquet file instead, once however often it is given.",
    )
    @click.option("--at", default="at", show_default=True, help="The file's column of times (UTC).")
    @click.option("--predictions", default="prediction", help="The file's column of predictions.")
    @click.option("--probabilities", default="probability", help="The file's column of probabilities.")
    @click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Local processes.")
    @as_json
    def recount(
        model: str,
        data: Path | None,
        at: str,
        predictions: str,
        probabilities: str,
        workers: int,
        is_json: bool,
    ) -> None:
        """Count the log of MODEL again and compare with what drift checks use. Exit code 2: they differ.

        Works in processes of this machine, or on the Dask cluster at DASK_SCHEDULER_ADDRESS.
        """
        with operations() as found:
            found.services.require(model)
            run = _Run(found, model, workers)
            outputs = {"prediction": predictions, "probability": probabilities}
            told = run.check() if data is None else run.fill(data, at, outputs)
        say(told, _sentence(told), is_json)
        sys.exit(DIFFERENT if told.get("differing") else 0)

    return recount


class _Run:
    """One recount."""

    def __init__(self, operations: Operations, model: str, n_workers: int) -> None:
        self._services, self._operations = operations.services, operations
        self._model, self._n_workers = model, n_workers

    def check(self) -> dict[str, Any]:
        """Count the log again, up to where it is counted, and compare."""
        services = self._services
        self._operations.monitor.counter.count_new()
        positions = services.counts.watermarks()
        ranges = services.predictions.id_ranges(RANGES_A_WORKER * self._n_workers)
        references = {version: self._bytes(version) for version in self._versions()}
        uri, db = services.settings.mongo_uri, services.settings.mongo_db
        if uri is None:
            raise SettingsError("MONGO_URI is not set.")
        sealing = services.sealing if services.settings.encryption_keys else None
        parts = [LogPart(uri, db, self._model, ids, positions, references, sealing) for ids in ranges]
        found = sum_of(self._mapped(count_log, parts), references)
        opened = {version: self._operations.references(self._model, version) for version in references}
        return compared(services.counts, self._model, found, opened).to_document()

    def fill(self, path: Path, at: str, outputs: dict[str, str]) -> dict[str, Any]:
        """Count a file by the cells of the champion and add it to the hours."""
        version = self._services.registry.champion(self._model)
        if version is None:
            raise NotFoundError(f"{self._model} has no champion to count by.")
        reference, path = self._bytes(version), path.resolve()
        parts = [
            FilePart(path, group, at, self._model, version, reference, outputs)
            for group in range(_n_groups(path, at))
        ]
        found = sum_of(self._mapped(count_file, parts), {version: reference})
        opened = {version: self._operations.references(self._model, version)}
        n_rows = fill(self._services.counts, self._model, found, digest_of(path), opened)
        return {"rows": n_rows, "hours": len(found), "version": version}

    def _versions(self) -> list[str]:
        return sorted({str(entry["version"]) for entry in self._services.history.all(self._model)})

    def _bytes(self, version: str) -> bytes:
        content: bytes = self._services.registry.part(self._model, version, "reference.bin")
        return content

    def _mapped(self, count: Callable[[Any], Counted], parts: Sequence[Any]) -> Iterable[Counted]:
        from mlops.batch.cluster import client  # Dask takes a second that other commands need not wait

        address = self._services.settings.dask_scheduler_address
        with client(address, min(self._n_workers, len(parts) or 1)) as workers:
            found: list[Counted] = workers.gather(workers.map(count, parts, pure=False))
        return found


def _n_groups(path: Path, at: str) -> int:
    try:
        from pyarrow import parquet
    except ImportError:
        raise VigiaError("Parquet needs pyarrow: pip install -r requirements-local.txt.") from None
    file = parquet.ParquetFile(path)
    if at not in file.schema_arrow.names:
        raise NotFoundError(f"{path.name} has no column {at!r}; say --at COLUMN.")
    return int(file.num_row_groups)


def _sentence(told: dict[str, Any]) -> str:
    if "differing" not in told:
        return f"{told['rows']} rows filled into {told['hours']} hours of version {told['version']}."
    if not told["differing"]:
        left = f"; {told['hours_from_files']} hours hold rows of files" if told["hours_from_files"] else ""
        return f"{told['rows']} rows in {told['hours']} hours: the counts are right{left}."
    return f"{len(told['differing'])} of {told['hours']} hours differ: {', '.join(told['differing'])}"
