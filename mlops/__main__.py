"""``python -m mlops``: the clock, and what it does, by hand."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import click
import msgspec
from tqdm import tqdm

from mlops import labelling, move_commands, preflight, subject_commands
from mlops.batch_command import batch_command
from mlops.clock import Clock
from mlops.doctor_command import doctor_command
from mlops.drift_command import drift_group
from mlops.experiment_command import experiment_command
from mlops.key_command import keys_group
from mlops.labelling import Given
from mlops.later_commands import LaterGroup
from mlops.operations import Operations
from mlops.recount_command import recount_command
from mlops.rollout_commands import canary_command, shadow_command
from mlops.seal_command import seal_command
from mlops.services import DEMO_END, DEMO_FILLED, Services, build, prepare
from mlops.trainings import KINDS, PROMOTE, Kind, Promote
from utils import embedded_mongo, logs
from utils.mongo import connection, migrations
from utils.settings import MASK, Settings, catalogue, load, origins
from utils.stopping import StopSignal
from utils.terminal import as_json, errors, progress_bar, say, user

DRIFT_FOUND = GATE_FAILED = 2
CLOSE_S = 20.0
LABELS_AT_ONCE = 5_000


@click.group(cls=LaterGroup, later={"backtest": "mlops.backtest_command"})
def main() -> None:
    """The life of a model in production. Exit codes: 0 fine, 1 error, 2 drift found or gate failed.

    2 is also how ``batch`` says that rows were refused, and ``recount`` that counts differ.
    """


@main.command()
@as_json
def clock(is_json: bool) -> None:
    """Run what is due, until stopped; any number of clocks may run. With --json each run is a line."""
    stop = StopSignal()
    with errors():
        preflight.check(load(os.environ))
    with _operations() as operations:
        told = (lambda run: say(run, "", is_json=True)) if is_json else None
        Clock(operations.jobs(), operations.services.job_runs, told).run_until(stop)


@main.command()
@click.argument("model")
@as_json
def monitor(model: str, is_json: bool) -> None:
    """Check MODEL for drift now."""
    with _operations() as operations:
        operations.services.require(model)
        report = operations.monitor.on_demand(operations.services.specs[model])
        # Printed before the trackers are closed: whoever waits for the report need not wait for them.
        say(report, _report(report), is_json)
    sys.exit(DRIFT_FOUND if report["drift"] else 0)


@main.command("release")
@as_json
def release_command(is_json: bool) -> None:
    """Bring the database to the shape of this program; run it before the new version answers.

    The old one may go on meanwhile. Interrupted, it goes on where it was the next time.
    """
    with _operations() as operations:
        told = (lambda text: click.echo(text, err=True)) if is_json else click.echo
        migrations.migrate(operations.services.db, told)
        found = migrations.standing(operations.services.db)
    say({"schema": found.database}, "The database is ready.", is_json)


@main.command(hidden=True)
def demo() -> None:
    """Fill a demo's empty database with two made-up weeks and live on; ``python -m app --demo`` calls it."""
    from mlops.demo import Demo  # draws rows, which nothing else here needs
    from mlops.visitors import Visitors

    with _operations() as operations:
        settings = operations.services.settings
        if not settings.mongo_db.endswith(DEMO_END):
            raise click.ClickException(f"{settings.mongo_db} is no demo's database: python -m app --demo.")
        made_up = Demo(operations)
        visitors = Visitors(made_up, made_up.run(progress_bar("demo")), settings)
        visitors.catch_up()
        (settings.state_dir / DEMO_FILLED).touch()
        visitors.visit(StopSignal())


@main.command()
@click.argument("model")
@click.option("--version", required=True, help="The version that shall answer.")
@click.option("--reason", default="", help="Kept in the history.")
@as_json
def promote(model: str, version: str, reason: str, is_json: bool) -> None:
    """Make a version of MODEL the champion; every web process follows within seconds."""
    with _operations() as operations:
        entry = operations.services.registry.promote(model, version, reason=reason, by=user())
    say(entry, f"{model} {version} is champion.", is_json)


@main.command()
@click.argument("model")
@click.option("--version", help="The version to go back to; the one before the present by default.")
@click.option("--reason", default="", help="Kept in the history.")
@as_json
def rollback(model: str, version: str | None, reason: str, is_json: bool) -> None:
    """Make an earlier version of MODEL the champion again."""
    with _operations() as operations:
        entry = operations.services.registry.rollback(model, version, reason=reason, by=user())
    say(entry, f"{model} {entry['version']} is champion again.", is_json)


@main.command()
@click.argument("model")
@as_json
def history(model: str, is_json: bool) -> None:
    """Tell which versions of MODEL were champion when, why and by whom."""
    with _operations() as operations:
        operations.services.require(model)
        entries = operations.services.history.all(model)
    lines = [
        f"{e['at']:%Y-%m-%d %H:%M:%S}  {e['version']:>5}  {e['action']:<8}  {e['by']}  {e['reason']}"
        for e in entries
    ]
    say(entries, "\n".join(lines) or f"{model} never had a champion.", is_json)


@main.command("quality")
@click.argument("model")
@click.option("--windows", type=click.IntRange(1, 1_000), default=14, help="How many windows back.")
@as_json
def quality_command(model: str, windows: int, is_json: bool) -> None:
    """Measure MODEL on its labelled predictions now. Exit code 2: worse than it should be."""
    with _operations() as operations:
        operations.services.require(model)
        report = operations.quality.on_demand(operations.services.specs[model], windows)
    text = (
        f"{model}: {report['verdict']}. {report['sentence']}" if report else f"{model} answered nothing yet."
    )
    say(report, text, is_json)
    sys.exit(DRIFT_FOUND if report and report["verdict"] == "alarm" else 0)


@main.command()
@click.argument("model")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Further rows with their label.")
@click.option("--promote", type=click.Choice(PROMOTE), default="if_better", help="When it takes over.")
@click.option("--tune", type=click.IntRange(0, 1_000), help="Try so many pipelines first.")
@click.option("--since", type=datetime.fromisoformat, help="Learn nothing older than this instant.")
@click.option("--because", default="", hidden=True)
@click.option("--kind", type=click.Choice(KINDS), default="run-pipeline", hidden=True)
@click.option("--by", default=lambda: user(), hidden=True)
@click.option("--job", hidden=True, help="Belongs to this job; ends when the process that started it does.")
@click.option("--rows", type=click.File("rb"), hidden=True, help="Further rows as JSON, already checked.")
@as_json
def retrain(
    model: str,
    data: Path | None,
    promote: Promote,
    tune: int | None,
    since: datetime | None,
    because: str,
    kind: Kind,
    by: str,
    job: str | None,
    rows: IO[bytes] | None,
    is_json: bool,
) -> None:
    """Train a challenger of MODEL on its training data plus all labelled predictions, and compare it.

    It becomes champion where it is better than chance explains. Exit code 2: it is not.
    """
    from mlops.retraining import Order  # which imports pandas and scikit-learn: other commands do without

    with _operations() as operations:
        given = [*(msgspec.json.decode(rows.read()) if rows else []), *_rows_of(operations, model, data)]
        order = Order(model, kind, promote, by, given, since=_utc(since), because=because, tune=tune)
        outcome = operations.retrain(order, job, progress_bar(model))
    say(outcome, _retrained(outcome), is_json)
    sys.exit(0 if promote == "never" or outcome["is_promoted"] else GATE_FAILED)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _rows_of(operations: Operations, model: str, data: Path | None) -> list[dict[str, Any]]:
    if data is None:
        return []
    from mlops.retraining import labelled_file

    operations.services.require(model)
    return labelled_file(operations.services.specs[model], data)


def _retrained(outcome: Mapping[str, Any]) -> str:
    ours, theirs = outcome["challenger"], outcome["champion"]
    old = {} if theirs is None else theirs["metrics"] or {}
    lines = [f"  {'':<18} {'challenger':>12} {'champion':>12}"]
    lines += [f"  {n:<18} {_number(v):>12} {_number(old.get(n)):>12}" for n, v in ours["metrics"].items()]
    state = "is champion" if outcome["is_promoted"] else "is a challenger"
    head = f"{outcome['model']} {outcome['version']} {state}. {outcome['gate']['sentence']}"
    return "\n".join([head, *lines])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


@main.group("labels")
def labels_group() -> None:
    """The truth about predictions."""


@labels_group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
def import_labels(file: Path, is_json: bool) -> None:
    """Take in the labels of FILE: CSV with prediction_id and label, or JSON as for POST /labels."""
    with _operations() as operations:
        given = labelling.from_file(file)
        with tqdm(total=len(given), desc="labels", disable=not sys.stderr.isatty()) as bar:
            accepted = [operations.labelling.put(part) for part in _parts(given, bar)]
    stored, waiting = sum(one.n_labels for one in accepted), sum(one.n_waiting for one in accepted)
    text = f"{stored} labels stored, {waiting} of them wait for their prediction."
    say({"labels": stored, "waiting": waiting}, text, is_json)


def _parts(given: list[Given], bar: Any) -> Iterator[list[Given]]:
    for start in range(0, len(given), LABELS_AT_ONCE):
        yield given[start : start + LABELS_AT_ONCE]
        bar.update(min(LABELS_AT_ONCE, len(given) - start))


@main.group()
def config() -> None:
    """Settings."""


@config.command()
@as_json
def show(is_json: bool) -> None:
    """Show every setting, its value and where it comes from; secrets are masked."""
    with errors():
        settings, given = load(os.environ), origins(os.environ)
    rows = [
        {
            "variable": setting.variable,
            "value": MASK
            if setting.is_secret and getattr(settings, setting.name)
            else _text(settings, setting.name),
            "origin": given[setting.name][0] if setting.name in given else "default",
        }
        for setting in catalogue()
    ]
    table = "\n".join(f"{row['variable']:<22} {row['value'] or '-':<40} {row['origin']}" for row in rows)
    say(rows, table, is_json)


def _text(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@contextmanager
def _operations() -> Iterator[Operations]:
    """Everything connected: to MONGO_URI, or to the private MongoDB, which is started if it does not run."""
    with errors():
        settings = load(os.environ)
        logs.configure(settings.log_level, settings.log_format)
        if settings.mongo_uri is not None:
            with _connected(settings) as operations:
                yield operations
            return
        with (
            embedded_mongo.start(settings.state_dir, settings.mongod) as mongo,
            _connected(msgspec.structs.replace(settings, mongo_uri=mongo.uri)) as operations,
        ):
            yield operations


@contextmanager
def _services() -> Iterator[Services]:
    """The services as set, with MongoDB as it is: nothing is made ready in it."""
    with errors():
        settings = load(os.environ)
        logs.configure("ERROR", settings.log_format)
        with ExitStack() as stack:
            if settings.mongo_uri is None:
                mongo = stack.enter_context(embedded_mongo.start(settings.state_dir, settings.mongod))
                settings = msgspec.structs.replace(settings, mongo_uri=mongo.uri)
            services = build(settings)
            stack.callback(lambda: connection.close(services.db))
            yield services


@contextmanager
def _connected(settings: Settings) -> Iterator[Operations]:
    services: Services = build(settings)
    operations = Operations(services)
    try:
        prepare(services)
        yield operations
    finally:
        operations.close(CLOSE_S)
        connection.close(services.db)


def _report(report: Mapping[str, Any]) -> str:
    lines = [
        f"{report['model']} {report['version']}: {report['verdict']}, {report['n_rows']} rows, "
        f"{report['window_start']:%Y-%m-%d %H:%M} to {report['window_end']:%Y-%m-%d %H:%M} UTC"
    ]
    for check in [*report["features"], *(one for one in report["quality"] if one["drift"])]:
        mark = "DRIFT" if check["drift"] else check["verdict"]
        lines.append(f"  {mark:<18} {check['feature']:<24} {check['sentence']}")
    return "\n".join(lines)


main.add_command(drift_group(lambda: _operations()))
subject_commands.add_to(main, lambda: _operations())
move_commands.add_to(main, lambda: _operations())
main.add_command(doctor_command(lambda: _services()))
main.add_command(keys_group)
main.add_command(shadow_command(lambda: _operations()))
main.add_command(canary_command(lambda: _operations()))
main.add_command(experiment_command(lambda: _operations()))
main.add_command(batch_command(lambda: _operations()))
main.add_command(recount_command(lambda: _operations()))
main.add_command(seal_command(lambda: _operations()))


if __name__ == "__main__":
    main()
