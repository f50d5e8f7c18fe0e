"""``python -m mlops experiment``: which pipeline suits a model best?"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlops.operations import Operations
from utils.errors import VigiaError
from utils.terminal import as_json, progress_bar, say, user
from utils.time import now

if TYPE_CHECKING:
    from mlops.experimenting import Experiment

SHOWN = 3


def experiment_command(operations: Callable[[], AbstractContextManager[Operations]]) -> click.Command:
    """Return the command; ``operations`` connects to everything."""

    @click.command("experiment")
    @click.argument("model")
    @click.option("--grid", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="YAML list.")
    @click.option("--trials", type=click.IntRange(1, 10_000), help="Search with Optuna, so many trials.")
    @click.option("--register", is_flag=True, help="Train the best and store it as a challenger.")
    @as_json
    def experiment(model: str, grid: Path | None, trials: int | None, register: bool, is_json: bool) -> None:
        """Try alternative pipelines for MODEL, cross-validated on the same folds, and rank them."""
        if grid and trials:
            raise click.UsageError("Either --grid or --trials.")
        with operations() as found:
            found.services.require(model)
            done = found.laboratory.run(
                model, now(), grid=grid, n_trials=trials or 0, on_step=progress_bar(model)
            )
            registered = _registered(found, model, done) if register else None
        told = done.document() | {"registered": registered}
        say(told, _text(done, registered), is_json)

    return experiment


def _registered(operations: Operations, model: str, done: "Experiment") -> dict[str, Any]:
    from mlops.retraining import Order

    best = done.ranked[0]
    if best.problem:
        raise VigiaError(f"No candidate could be fitted: {best.problem}")
    return operations.retrain(
        Order(
            model,
            promote="never",
            by=user(),
            because=f"{done.name}: {best.candidate.text}",
            pipeline=best.candidate.pipeline,
            parameters=best.candidate.parameters,
        )
    )


def _text(done: "Experiment", registered: Mapping[str, Any] | None) -> str:
    names = next((list(one.metrics) for one in done.ranked if one.metrics), [])[:SHOWN]
    names = [done.metric, *(name for name in names if name != done.metric)][:SHOWN]
    lines = [f"{'':>3}  " + "".join(f"{name:>22}" for name in names) + f"{'seconds':>10}  pipeline"]
    for rank, one in enumerate(done.ranked, 1):
        cells = "".join(f"{_cell(one.metrics.get(name, {})):>22}" for name in names)
        note = f"  ({one.problem})" if one.problem else ""
        lines.append(f"{rank:>3}  {cells}{one.seconds:>10.1f}  {one.candidate.text}{note}")
    lines.append(f"On {done.n_rows} rows; table and pictures: {done.folder}")
    if registered:
        sentence = registered["gate"]["sentence"]
        lines.append(f"{registered['model']} {registered['version']} is a challenger. {sentence}")
    return "\n".join(lines)


def _cell(found: Mapping[str, float | None]) -> str:
    mean, spread = found.get("mean"), found.get("std")
    return "-" if mean is None or spread is None else f"{mean:.4f} ± {spread:.4f}"
