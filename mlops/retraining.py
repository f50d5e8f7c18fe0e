"""One retraining: gather rows, train a challenger, compare it with the champion, promote it by the rule.

Heavy; runs in a process of its own. ``mlops.trainings`` starts it from the web process.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import msgspec

from mlops.gathering import Gathered, Gatherer
from mlops.registry import Registry
from mlops.trainings import Kind, Promote
from model import experiment, frame, gate, pickling, slices, splitting, training
from model import spec as specs
from model.artifact import PIPELINE
from model.frame import Rows
from model.gate import Decision, Side
from model.spec import Spec
from model.training import Trained
from utils.errors import ConflictError, VigiaError

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
Step = Callable[[str, int, int], None]
# A slice that every gate looks at: what labels said most recently.
NEWEST = "labelled predictions"


@dataclass(frozen=True)
class Order:
    """What is to be trained.

    ``rows`` are given ones with their label, beside the bundled ones. ``since``: nothing older is to be
    learnt. ``because`` is kept in the history. ``pipeline`` and ``parameters`` replace the spec's, and
    ``tune`` is how many pipelines are tried first (by default the spec says).
    """

    model: str
    kind: Kind = "run-pipeline"
    promote: Promote = "if_better"
    by: str = "command line"
    rows: Sequence[Row] = field(default_factory=list)
    since: datetime | None = None
    because: str = ""
    pipeline: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tune: int | None = None


@dataclass(frozen=True)
class Retrainer:
    """Retrains models; ``folders`` have the specs."""

    registry: Registry
    gatherer: Gatherer
    folders: Sequence[Path]

    def run(self, order: Order, on_step: Step | None = None) -> dict[str, Any]:
        """Train a challenger, store it, compare it and promote it as ordered; returns what came out.

        Raises
        ------
        TrainingError, TableError
            If the rows cannot be learnt from; nothing is stored then.
        ConflictError
            If somebody else changed the champion in the meantime; the challenger is stored.
        """
        spec, path = specs.find(order.model, self.folders)
        gathered = self.gatherer.gather(
            spec, path, order.rows, order.since, with_logged=order.kind == "run-pipeline"
        )
        trained = training.train(_chosen(spec, order, gathered, on_step), gathered.table, on_step)
        trained = replace(trained, trained_on=trained.trained_on | {"since": order.since})
        champion = self.registry.champion(order.model)
        decision = self._compared(trained, gathered, champion)
        version = self.registry.add(
            trained,
            source=gathered.source,
            source_digest=gathered.digest,
            learnt_from=gathered.prediction_ids,
        )
        is_promoted = self._promoted(order, version, champion, decision)
        log.info("%s %s: %s", order.model, version, decision.sentence)
        return _outcome(order, version, champion, decision, gathered, trained, is_promoted)

    def _compared(self, trained: Trained, gathered: Gathered, champion: str | None) -> Decision:
        spec = trained.spec
        rows, _ = training.usable_rows(spec, gathered.table)
        held = rows.take(splitting.held_out(rows, spec.task))
        ours = Side(training.scored(trained.pipeline, spec, held.features), trained.threshold)
        if champion is None:
            return gate.decide(spec, held.y, ours, None)
        try:
            theirs = self._champion_side(spec, champion, held)
        except (VigiaError, ValueError, KeyError) as error:
            # A champion of other features or packages: a person decides, with ?promote=always.
            log.warning("%s %s cannot score the held-out rows: %s", spec.name, champion, error)
            return gate.incomparable(spec, held.y, ours)
        newest = {NEWEST: gathered.is_logged(held.features.index).to_numpy()}
        return gate.decide(spec, held.y, ours, theirs, {**slices.members(spec, held.features), **newest})

    def _champion_side(self, spec: Spec, version: str, held: Rows) -> Side:
        manifest = self.registry.manifest(spec.name, version)
        theirs = manifest.resolved_spec()
        pipeline = pickling.load(self.registry.part(spec.name, version, PIPELINE), manifest)
        scores = training.scored(pipeline, theirs, held.features[list(theirs.features)])
        if spec.labels:
            scores = scores[:, [theirs.labels.index(label) for label in spec.labels]]
        return Side(scores, manifest.threshold)

    def _promoted(self, order: Order, version: str, champion: str | None, decision: Decision) -> bool:
        is_wanted = order.promote == "always" or (order.promote == "if_better" and decision.has_passed)
        if not is_wanted:
            return False
        if self.registry.champion(order.model) != champion:
            raise ConflictError(
                f"Somebody else changed the champion of {order.model} during the training; version {version}"
                " is stored and was compared with the one before."
            )
        because = f" because of {order.because}" if order.because else ""
        reason = f"{order.kind}{because}, promote={order.promote}. {decision.sentence}"
        self.registry.promote(order.model, version, reason=reason, by=order.by)
        return True


def _chosen(spec: Spec, order: Order, gathered: Gathered, on_step: Step | None) -> Spec:
    """Return the spec with the pipeline that is to be fitted."""
    if order.pipeline is not None:
        return msgspec.structs.replace(spec, pipeline=order.pipeline, parameters=dict(order.parameters))
    n_trials = spec.retrain.tune if order.tune is None else order.tune
    if not n_trials:
        return spec
    best = experiment.search(spec, gathered.table, n_trials, on_step)[0]
    return experiment.with_candidate(spec, best.candidate)


def _outcome(
    order: Order,
    version: str,
    champion: str | None,
    decision: Decision,
    gathered: Gathered,
    trained: Trained,
    is_promoted: bool,
) -> dict[str, Any]:
    gate_part = msgspec.to_builtins(decision)
    ours, theirs = gate_part.pop("challenger"), gate_part.pop("champion")
    return {
        "model": order.model,
        "kind": order.kind,
        "version": version,
        "promote": order.promote,
        "is_promoted": is_promoted,
        "metrics": ours,
        "challenger": {"version": version, "metrics": ours},
        "champion": None if champion is None else {"version": champion, "metrics": theirs},
        "gate": gate_part | {"has_passed": decision.has_passed, "sentence": decision.sentence},
        "rows": {
            "n_bundled": gathered.n_bundled,
            "n_logged": len(gathered.prediction_ids),
            "n_given": gathered.n_given,
        },
        "pipeline": {"function": trained.spec.pipeline, "parameters": trained.spec.parameters},
        "because": order.because or None,
        "trained_on": trained.trained_on,
        "seconds": trained.seconds,
    }


def labelled_file(spec: Spec, path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV or Parquet file with the target. Raises TableError if they cannot be used."""
    table = frame.read_table(path, spec)
    frame.target_values(spec, table)
    return cast(list[dict[str, Any]], table.astype(object).where(table.notna(), None).to_dict("records"))
