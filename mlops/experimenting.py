"""An experiment: candidates tried on the rows of a retraining, kept with pictures, told to trackers."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from mlops.gathering import Gathered, Gatherer
from mlops.tracking.fanout import Trackers
from model import curves, experiment
from model import spec as specs
from model.experiment import Bench, Tried
from model.spec import Spec
from utils.errors import SpecError
from utils.mongo.experiments import ExperimentStore

log = logging.getLogger(__name__)

Step = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Experiment:
    """What came out: ``ranked`` has the best first, ``folder`` the table and the pictures."""

    name: str
    metric: str
    n_rows: int
    ranked: Sequence[Tried]
    folder: Path

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "experiment": self.name,
            "metric": self.metric,
            "n_rows": self.n_rows,
            "folder": str(self.folder),
            "candidates": [_shown(one) for one in self.ranked],
        }


@dataclass(frozen=True)
class Laboratory:
    """Runs experiments."""

    gatherer: Gatherer
    trackers: Trackers
    store: ExperimentStore
    folders: Sequence[Path]
    out: Path

    def run(
        self, model: str, at: datetime, *, grid: Path | None = None, n_trials: int = 0,
        on_step: Step | None = None
    ) -> Experiment:  # fmt: skip
        """Try candidates for a model: those of a grid file, of a search, or the usual ones.

        Raises
        ------
        TrainingError, TableError
            If the rows cannot be learnt from.
        SpecError
            If the grid cannot be used.
        UnavailableError
            If a search is asked for and Optuna is not installed.
        """
        spec, path = specs.find(model, self.folders)
        entries = experiment.GRID if grid is None else read_grid(grid)
        gathered: Gathered = self.gatherer.gather(spec, path, [], None, with_logged=True)
        bench = Bench(spec, gathered.table)
        ranked = (
            experiment.search(spec, bench, n_trials, on_step)
            if n_trials
            else experiment.run(bench, experiment.grid(spec, entries), on_step)
        )
        name = f"experiment-{at:%Y%m%dT%H%M%S}"
        found = Experiment(name, bench.metric, len(bench.rows), ranked, self.out / model / name)
        self._keep(found, curves.pictures(bench, ranked))
        self.store.add({"model": model, "at": at, **found.document()})
        self._tell(spec, found)
        return found

    def _keep(self, found: Experiment, pictures: Mapping[str, str]) -> None:
        found.folder.mkdir(parents=True, exist_ok=True)
        (found.folder / "results.json").write_text(json.dumps(found.document(), indent=1), encoding="utf-8")
        for name, text in pictures.items():
            (found.folder / name).write_text(text, encoding="utf-8")

    def _tell(self, spec: Spec, found: Experiment) -> None:
        """Log each candidate as a run of its own, and the pictures to the best one's."""
        for rank, one in enumerate(found.ranked, 1):
            run = f"{found.name}-{rank}"
            given = {"model": one.candidate.name, "pipeline": one.candidate.pipeline}
            params = given | {name: _plain(value) for name, value in one.candidate.parameters.items()}
            self.trackers.log_params(spec.name, run, params)
            values = {
                f"cv/{n}/{what}": v for n, m in one.metrics.items() for what, v in m.items() if v is not None
            }
            self.trackers.log_metrics(spec.name, run, values | {"seconds": one.seconds})
        files = {path.stem: path for path in sorted(found.folder.glob("*.svg"))}
        self.trackers.log_files(spec.name, f"{found.name}-1", files)


def read_grid(path: Path) -> list[dict[str, Any]]:
    """Read a YAML list of entries; see ``experiment.grid``. Raises SpecError."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path}: cannot be read ({' '.join(str(error).split())}).") from None
    if not isinstance(found, list) or not found:
        raise SpecError(f"{path}: a grid is a list, such as `- {{model: forest, min_leaf: [1, 5]}}`.")
    return found


def _shown(one: Tried) -> dict[str, Any]:
    return {
        "model": one.candidate.name,
        "pipeline": one.candidate.pipeline,
        "parameters": dict(one.candidate.parameters),
        "metrics": one.metrics,
        "seconds": one.seconds,
        "problem": one.problem or None,
    }


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
