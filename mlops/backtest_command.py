"""``python -m mlops backtest``: which alarms a model's drift policy would have raised over a history."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from mlops import histories
from mlops.backtesting import BacktestError, Normal, Window, by_feature, counted, judged
from mlops.drift_policy import policy_of
from mlops.histories import Base, Question, Table
from model import artifact, resolving
from model.artifact import REFERENCE
from model.bundled import bundled_rows
from model.folders import folders
from model.monitoring import FeatureDrift, ModelReference
from model.spec import find
from model.versions import Versions
from utils import settings
from utils.errors import UnavailableError, VigiaError
from utils.mongo import connection
from utils.mongo.history import HistoryStore
from utils.mongo.versions import VersionStore
from utils.terminal import as_json, progress_bar

ALARMS_FOUND = 2
SHOWN = 4

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--model", required=True, help="Whose features and drift policy.")
@click.option("--data", type=FILE, required=True, help="The history: CSV (also compressed) or Parquet.")
@click.option("--at", required=True, help="Its column of times.")
@click.option("--predictions", help="Its column of predictions or probabilities, watched too.")
@click.option("--labels", help="Its column of true labels, watched too; with predictions also the errors.")
@click.option("--window", default="1d", show_default=True, help="Length of a window: 30min, 6h, 1d, 2w.")
@click.option("--reference", type=FILE, help="Compare with this table instead of the champion or training.")
@click.option("--reference-rows", type=click.IntRange(2), help="Compare with so many first rows of --data.")
@as_json
def backtest(
    model: str,
    data: Path,
    at: str,
    predictions: str | None,
    labels: str | None,
    window: str,
    reference: Path | None,
    reference_rows: int | None,
    is_json: bool,
) -> None:
    """Run the drift policy of a model over a history with its own times. Exit code 2: there were alarms.

    Needs no service and no MongoDB. The history is compared with what the champion learnt where MONGO_URI is
    set, else with the training table of the spec.
    """
    try:
        run = _Run(model, data, Question(at, predictions, labels), histories.window_of(window))
        windows, base = run.judged(reference, reference_rows)
    except (VigiaError, ValueError) as error:
        click.echo(str(getattr(error, "detail", error)), err=True)
        sys.exit(1)
    if is_json:
        click.echo(msgspec.json.encode(run.document(windows, base)).decode())
    else:
        _print(windows, base)
    sys.exit(ALARMS_FOUND if any(window.result.is_drift for window in windows) else 0)


class _Run:
    """One backtest."""

    def __init__(self, model: str, data: Path, question: Question, window: timedelta) -> None:
        self._settings = settings.load(os.environ)
        self._model, self._question, self._data, self._window = model, question, data, window
        self._spec, self._path = find(model, folders(self._settings))

    def judged(self, reference: Path | None, n_reference: int | None) -> tuple[list[Window], Base]:
        """Return the windows, and what they were compared with."""
        training = None if n_reference else self._training(reference)
        if training is not None and self._spec.target.name in training.raw:
            self._spec = resolving.with_classes(self._spec, training.raw)
        history = self._read(self._data, is_history=True)
        if n_reference:
            order = history.by_time()
            training, history = history.take(order[:n_reference]), history.take(order[n_reference:])
        if history.at_ms is None or not history.n_rows:
            raise BacktestError("No rows of the history are left to judge.")
        base = self._base(training, history, reference is not None or n_reference is not None)
        periods = counted(base.reference, history.columns, history.at_ms, self._window)
        policy = replace(policy_of(self._spec, "scheduled"), design_effects=base.effects)
        bar = progress_bar(self._model)
        normal = Normal(base.reference, periods, self._spec.drift)
        windows = judged(normal, policy, lambda done, n: bar("windows", done, n))
        return windows, replace(base, notes=(*base.notes, *normal.notes))

    def _read(self, path: Path, *, is_history: bool) -> Table:
        return histories.read(
            path, histories.watched(self._spec, self._question), self._question, is_history=is_history
        )

    def _training(self, reference: Path | None) -> Table | None:
        path = reference or bundled_rows(self._spec, self._path)
        return self._read(path, is_history=False) if path.is_file() else None

    def _base(self, training: Table | None, history: Table, is_chosen: bool) -> Base:
        spec = histories.watched(self._spec, self._question)
        champion = None if is_chosen else self._champion()
        if champion is not None:
            return histories.with_outputs(spec, champion, training, history, self._window)
        if training is None:
            raise BacktestError(
                f"There is nothing to compare with: {self._spec.data.train} is missing, and no champion is"
                " reachable. Say --reference FILE or --reference-rows N."
            )
        return histories.fitted(spec, training, history, self._window)

    def _champion(self) -> Base | None:
        """Return what the champion learnt, None where there is none or it cannot be reached."""
        if self._settings.mongo_uri is None:
            return None
        db = connection.connect(self._settings.mongo_uri, self._settings.mongo_db)
        try:
            newest = HistoryStore(db).current(self._model)
            if newest is None:
                return None
            versions = Versions(VersionStore(db), artifact.signing_key(self._settings))
            learnt = ModelReference.from_bytes(versions.part(self._model, newest["version"], REFERENCE))
        except UnavailableError as error:
            click.echo(
                f"The champion cannot be reached, so the training table is used. {error.detail}", err=True
            )
            return None
        finally:
            connection.close(db)
        kept = {n: one for n, one in learnt.features.items() if n not in self._question.names}
        return Base(replace(learnt, features=kept), notes=(f"compared with champion {newest['version']}",))

    def document(self, windows: Sequence[Window], base: Base) -> dict[str, Any]:
        """Return a dict of JSON types."""
        return {
            "model": self._model,
            "policy": windows[-1].result.policy,
            "parameters": windows[-1].result.parameters,
            "notes": base.notes,
            "n_alarms": sum(window.result.is_drift for window in windows),
            "windows": [window.to_document() for window in windows],
        }


def _print(windows: Sequence[Window], base: Base) -> None:
    for note in base.notes:
        click.echo(f"Note: {note}.")
    click.echo(f"{'start':<17} {'rows':>9}  alarm  what drifted")
    for window in windows:
        drifted = [check for check in by_feature(window.result) if check.is_drift]
        told = [_told(check) for check in drifted[:SHOWN]]
        told += [f"and {len(drifted) - SHOWN} more"] if len(drifted) > SHOWN else []
        told += ["too few rows to tell"] if window.result.verdict not in ("drift", "ok") else []
        alarm = "yes" if window.result.is_drift else "no"
        click.echo(f"{window.start:%Y-%m-%d %H:%M}  {window.n_rows:>9}  {alarm:<5}  {'; '.join(told)}")
    n_alarms = sum(window.result.is_drift for window in windows)
    click.echo(f"{n_alarms} of {len(windows)} windows with an alarm.")


def _told(check: FeatureDrift) -> str:
    size = (
        ""
        if check.effect is None
        else f" ({check.statistic_name} {check.statistic:.3g}, effect {check.effect:.3g})"
    )
    return f"{check.sentence}{size}"
