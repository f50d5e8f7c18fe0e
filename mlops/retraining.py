"""One retraining: gather rows, train a challenger, compare it with the champion, promote it by the rule.

Heavy; runs in a process of its own. ``mlops.trainings`` starts it from the web process.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pandas as pd

from mlops.registry import Registry
from mlops.trainings import Kind, Promote
from model import frame, gate, packing, pickling, splitting, training
from model import spec as specs
from model.artifact import PIPELINE
from model.bundled import bundled_rows
from model.frame import Rows
from model.gate import Decision, Side
from model.labels import LabelReader, UnknownLabelError
from model.spec import Spec
from model.training import Trained
from utils.errors import ConflictError, VigiaError
from utils.mongo.labels import LabelStore
from utils.mongo.predictions import PredictionStore
from utils.time import now

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
Step = Callable[[str, int, int], None]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BATCH = 2_000
FIELDS = ("model", "features")


@dataclass(frozen=True)
class Order:
    """What is to be trained; ``rows`` are given ones with their label, beside the bundled ones."""

    model: str
    kind: Kind = "run-pipeline"
    promote: Promote = "if_better"
    by: str = "command line"
    rows: Sequence[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Gathered:
    """The rows of a training: where from, how many of each, and which predictions are among them."""

    table: pd.DataFrame
    source: str
    digest: str
    n_bundled: int
    n_given: int
    prediction_ids: list[str]


@dataclass(frozen=True)
class Retrainer:
    """Retrains models; ``folders`` have the specs."""

    registry: Registry
    predictions: PredictionStore
    labels: LabelStore
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
        gathered = self._gathered(spec, path, order)
        trained = training.train(spec, gathered.table, on_step)
        champion = self.registry.champion(order.model)
        decision = self._compared(trained, gathered.table, champion)
        version = self.registry.add(
            trained,
            source=gathered.source,
            source_digest=gathered.digest,
            learnt_from=gathered.prediction_ids,
        )
        is_promoted = self._promoted(order, version, champion, decision)
        log.info("%s %s: %s", order.model, version, decision.sentence)
        return _outcome(order, version, champion, decision, gathered, trained, is_promoted)

    def _gathered(self, spec: Spec, path: Path, order: Order) -> Gathered:
        file = bundled_rows(spec, path)
        bundled = frame.read_table(file, spec)
        logged = self._logged(spec) if order.kind == "run-pipeline" else {}
        further = [*logged.values(), *order.rows]
        table = pd.concat([bundled.astype(object), _table(further, bundled.columns)], ignore_index=True)
        table.index.name = "row"
        counts = [(len(logged), "labelled predictions"), (len(order.rows), "rows given")]
        source = " + ".join([file.name, *(f"{count} {what}" for count, what in counts if count)])
        digest = packing.file_digest(file)
        return Gathered(table, source, digest, len(bundled), len(order.rows), list(logged))

    def _logged(self, spec: Spec) -> dict[str, Row]:
        """Return the logged rows that have a usable label, by prediction id, the oldest label first."""
        reader = LabelReader(spec) if spec.labels or spec.task == "regression" else None
        ids = self.labels.changed(EPOCH, now())
        found: dict[str, Row] = {}
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            rows = self.predictions.by_ids(part, fields=FIELDS)
            ours = [one for one in part if one in rows and rows[one]["model"] == spec.name]
            labels = self.labels.for_predictions(ours)
            for one in ours:
                if one in labels and _is_readable(reader, labels[one]):
                    found[one] = rows[one]["features"] | {spec.target.name: labels[one]}
        return found

    def _compared(self, trained: Trained, table: pd.DataFrame, champion: str | None) -> Decision:
        spec = trained.spec
        rows, _ = training.usable_rows(spec, table)
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
        return gate.decide(spec, held.y, ours, theirs)

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
        reason = f"{order.kind}, promote={order.promote}. {decision.sentence}"
        self.registry.promote(order.model, version, reason=reason, by=order.by)
        return True


def _is_readable(reader: LabelReader | None, label: Any) -> bool:
    try:
        return reader is None or reader.read(label) is not None
    except UnknownLabelError:
        return False


def _table(rows: Sequence[Row], columns: Any) -> pd.DataFrame:
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    return pd.DataFrame({n: pd.Series([row.get(n) for row in rows], dtype=object) for n in names})


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
        "trained_on": trained.trained_on,
        "seconds": trained.seconds,
    }


def labelled_file(spec: Spec, path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV or Parquet file with the target. Raises TableError if they cannot be used."""
    table = frame.read_table(path, spec)
    frame.target_values(spec, table)
    return cast(list[dict[str, Any]], table.astype(object).where(table.notna(), None).to_dict("records"))
