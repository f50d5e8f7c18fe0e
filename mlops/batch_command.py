"""``python -m mlops batch``: score whole files with a model."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from mlops.operations import Operations
from utils.errors import NotFoundError
from utils.mongo.rejections import RejectionStore
from utils.terminal import as_json, say

if TYPE_CHECKING:
    from mlops.batch.cutting import Part
    from mlops.batch.running import Request, Run, Summary
    from mlops.batch.shipping import Log
    from mlops.batch.workfolder import Done
    from mlops.services import Services

ROWS_REFUSED = 2


def batch_command(operations: Callable[[], AbstractContextManager[Operations]]) -> click.Command:
    """Return the command; ``operations`` connects to everything."""

    @click.command("batch")
    @click.argument("model")
    @click.argument("input", metavar="INPUT")
    @click.argument("output", metavar="OUTPUT")
    @click.option("--log/--no-log", "is_logged", help="Keep the answers in MongoDB, as those to requests.")
    @click.option("--version", help="The version that answers; default: the champion.")
    @click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Local processes.")
    @click.option("--restart", "is_restart", is_flag=True, help="Give up what an interrupted run has done.")
    @click.option("--part-bytes", type=click.IntRange(1_000), default=8 * 2**20, hidden=True)
    @as_json
    def batch(
        model: str,
        input: str,
        output: str,
        is_logged: bool,
        version: str | None,
        workers: int,
        is_restart: bool,
        part_bytes: int,
        is_json: bool,
    ) -> None:
        """Score the rows of INPUT with MODEL and write the answers to OUTPUT.

        INPUT is a file, a folder or a pattern of CSV, NDJSON or Parquet files, OUTPUT one such file; both may
        be URLs. A run that was interrupted goes on where it was when the same command is given again. Exit
        code 2: done, but some rows were refused; a file beside OUTPUT says which and why.
        """
        from mlops.batch.running import Request  # Dask takes a second that other commands need not wait

        with operations() as found:
            services = found.services
            log = _log(services) if is_logged else None
            address = services.settings.dask_scheduler_address
            request = Request(input, output, log, address, workers, part_bytes, is_restart)
            summary = _shown(_run(found, model, version, request))
        say(summary.document(), _text(summary), is_json)
        sys.exit(ROWS_REFUSED if summary.refused else 0)

    return batch


def _log(services: "Services") -> "Log":
    from mlops.batch.shipping import Log

    redacted = services.settings.redact_fields
    key = services.secret_for("redaction") if redacted else b""
    return Log(services.predictions, RejectionStore(services.db), tuple(redacted), key, services.sealing)


def _run(operations: Operations, model: str, version: str | None, request: "Request") -> "Run":
    from mlops.batch.running import Run, begun

    operations.services.require(model)
    registry = operations.services.registry
    chosen = version or begun(request, model) or registry.champion(model)
    if chosen is None:
        raise NotFoundError(
            f"{model} has no champion yet. Train one: python -m model train {model} --promote"
        )
    manifest = registry.manifest(model, chosen)
    return Run(request, manifest, lambda name: registry.part(model, chosen, name))


def _shown(run: "Run") -> "Summary":
    """Run with a bar on a terminal."""
    with tqdm(total=run.n_bytes, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
        n_rows = 0

        def on_part(part: "Part", done: "Done") -> None:
            nonlocal n_rows
            n_rows += done.n_rows
            bar.set_postfix_str(f"{n_rows:,} rows", refresh=False)
            bar.update(part.n_bytes)

        return run.run(on_part)


def _text(summary: "Summary") -> str:
    rate = summary.rows / summary.seconds if summary.seconds else 0.0
    lines = [
        f"{summary.scored:,} of {summary.rows:,} rows scored by {summary.model} {summary.version}"
        f" in {summary.seconds:.1f} s ({rate:,.0f} a second): {summary.output}"
    ]
    if summary.resumed_parts:
        lines.append(f"{summary.resumed_parts} of {summary.parts} parts were done before.")
    if summary.warned:
        lines.append(f"{summary.warned:,} rows have warnings.")
    if summary.logged:
        lines.append(f"{summary.logged:,} answers are in MongoDB.")
    if summary.refused:
        lines.append(f"{summary.refused:,} rows were refused; which and why: {summary.refused_rows}")
    return "\n".join(lines)
