"""Two versions on the same logged rows: how often they agree, where they differ, which is right and faster.

Both score what was logged, in the process that asks: nothing of it is on the path of a request. Rows that a
version learnt from tell nothing about who is right, so they are left out of that part.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops.registry import Registry
from model import gate
from model.answer import Judge
from model.gate import Decision, Side
from model.labels import LabelReader, UnknownLabelError
from model.schema import Batch, Schema
from model.spec import Spec
from model.versions import LoadedVersion
from utils.errors import InvalidRowsError
from utils.mongo.labels import LabelStore
from utils.mongo.predictions import PredictionStore

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Row = Mapping[str, Any]

# The newest ones of a longer window: enough for a share to 1 %, and a minute of work at most.
MAX_ROWS = 20_000
AT_ONCE, IDS_AT_ONCE = 500, 5_000
N_TIMED = 200
MIN_SEGMENT, MAX_SEGMENTS, MAX_VALUES, N_RANGES = 30, 12, 12, 4
# Of a regression: answers that differ by less than this share of the champion's spread agree.
CLOSE = 0.1
FIELDS = ("features", "version")


@dataclass(frozen=True)
class Compared:
    """What both versions say about the rows that both take; ``decision`` is of those with a label."""

    rows: Sequence[Row]
    ours: Floats
    theirs: Floats
    n_refused: int
    decision: Decision | None
    n_labelled: int


@dataclass(frozen=True)
class Comparison:
    """Compares versions on the log."""

    registry: Registry
    predictions: PredictionStore
    labels: LabelStore

    def report(
        self, spec: Spec, version: str, champion: str, start: datetime, end: datetime, kind: str, *,
        only_labelled: bool = False
    ) -> dict[str, Any]:  # fmt: skip
        """Compare a version with another on what was logged in [start, end), the newest rows first.

        Parameters
        ----------
        spec : Spec
            As the file says it; its promotion rule judges rows with a label.
        version, champion : str
            Who is looked at, and whom it is compared with.
        kind : str
            What asked for it: ``replay``, ``shadow`` or ``probation``.
        only_labelled : bool, default=False
            Leave out rows without a label.

        Returns
        -------
        dict
            A report as the collection ``shadow_reports`` keeps it; see ``docs/loop.md``.
        """
        ours, theirs = (self.registry.load(spec.name, one) for one in (version, champion))
        rows = self.predictions.newest(spec.name, None, start, end, MAX_ROWS, FIELDS)
        labels = self._labels([row["_id"] for row in rows])
        rows = [row for row in rows if not only_labelled or row["_id"] in labels]
        learnt = {one for v in (version, champion) for one in self.registry.learnt_from(spec.name, v)}
        labels = {one: label for one, label in labels.items() if one not in learnt}
        head = {"model": spec.name, "kind": kind, "version": version, "champion": champion,
                "window_start": start, "window_end": end}  # fmt: skip
        return head | _told(_compared(spec, ours, theirs, rows, labels), ours, theirs)

    def n_labelled(self, model: str, start: datetime, end: datetime) -> int:
        """Return how many of the newest rows that were logged in [start, end) have a label."""
        ids = [row["_id"] for row in self.predictions.newest(model, None, start, end, MAX_ROWS, ["_id"])]
        return len(self._labels(ids))

    def _labels(self, ids: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for first in range(0, len(ids), IDS_AT_ONCE):
            found |= self.labels.for_predictions(ids[first : first + IDS_AT_ONCE])
        return found


def _compared(
    spec: Spec, ours: LoadedVersion, theirs: LoadedVersion, rows: Sequence[Row], labels: Mapping[str, Any]
) -> Compared:
    new, old = _scores(ours, rows), _scores(theirs, rows)
    both = [i for i in range(len(rows)) if new[i] is not None and old[i] is not None]
    taken = [rows[i] for i in both]
    scores = [_stacked(ours.spec, [side[i] for i in both]) for side in (new, old)]
    if ours.spec.labels:
        scores[1] = scores[1][:, [theirs.spec.labels.index(label) for label in ours.spec.labels]]
    y_true = _truth(ours.spec, taken, labels)
    known = np.isfinite(y_true)
    decision = None
    if known.any():
        rule = msgspec.structs.replace(ours.spec, promotion=spec.promotion)
        truth = y_true[known] if spec.task == "regression" else y_true[known].astype(np.int64)
        sides = [Side(s[known], v.threshold) for s, v in zip(scores, (ours, theirs), strict=True)]
        decision = gate.decide(rule, truth, sides[0], sides[1])
    return Compared(taken, scores[0], scores[1], len(rows) - len(both), decision, int(known.sum()))


def _scores(version: LoadedVersion, rows: Sequence[Row]) -> list[Any]:
    """Return the scores of each row, None where the version refuses it."""
    schema = Schema(version.spec)
    found: list[Any] = []
    for first in range(0, len(rows), AT_ONCE):
        found.extend(_part(version, schema, [row["features"] for row in rows[first : first + AT_ONCE]]))
    return found


def _part(version: LoadedVersion, schema: Schema, features: Sequence[object]) -> list[Any]:
    try:
        batch = schema.from_rows(features)
    except InvalidRowsError:
        if len(features) == 1:
            return [None]
        return [score for one in features for score in _part(version, schema, [one])]
    return list(version.predictor.scores(batch.numbers, batch.texts))


def _stacked(spec: Spec, scores: Sequence[Any]) -> Floats:
    shape = (len(scores), len(spec.labels)) if spec.labels else (len(scores),)
    return np.array(scores, dtype=np.float64).reshape(shape)


def _truth(spec: Spec, rows: Sequence[Row], labels: Mapping[str, Any]) -> Floats:
    """Return the true class or value of each row, NaN where it is not known."""
    reader = LabelReader(spec)

    def read(row: Row) -> float:
        try:
            return reader.read(labels[row["_id"]]) if row["_id"] in labels else np.nan
        except UnknownLabelError:
            return np.nan

    return np.array([read(row) for row in rows], dtype=np.float64)


def _told(found: Compared, ours: LoadedVersion, theirs: LoadedVersion) -> dict[str, Any]:
    equal, difference = _agreement(found, ours, theirs)
    decision = found.decision
    return {
        "n_rows": len(found.rows),
        "n_refused": found.n_refused,
        "n_labelled": found.n_labelled,
        "agreement": float(equal.mean()) if len(equal) else None,
        "difference": float(difference.mean()) if len(equal) else None,
        "segments": _segments(ours.spec, found.rows, equal, difference),
        "latency_ms": {"challenger": _latency(ours, found.rows), "champion": _latency(theirs, found.rows)},
        "metrics": None if decision is None else {"challenger": decision.challenger,
                                                  "champion": decision.champion},
        "gate": None if decision is None else _gate(decision),
        "sentence": _sentence(found, equal, ours.version, theirs.version),
    }  # fmt: skip


def _gate(decision: Decision) -> dict[str, Any]:
    left_out = ("challenger", "champion", "slices")
    found = {name: value for name, value in asdict(decision).items() if name not in left_out}
    return found | {"sentence": decision.sentence}


def _agreement(found: Compared, ours: LoadedVersion, theirs: LoadedVersion) -> tuple[Flags, Floats]:
    """Return which answers agree, and by how much each pair differs.

    By how much is, for classes, half the sum over the probabilities' differences (from 0 to 1); for values
    their distance, in the target's unit.
    """
    if not ours.spec.labels:
        distance = np.abs(found.ours - found.theirs)
        spread = float(found.theirs.std()) if len(found.theirs) else 0.0
        return distance <= CLOSE * spread, distance
    chosen = [
        Judge(ours.spec, v.threshold).chosen(s) for v, s in ((ours, found.ours), (theirs, found.theirs))
    ]
    return chosen[0] == chosen[1], np.abs(found.ours - found.theirs).sum(axis=1) / 2


def _segments(spec: Spec, rows: Sequence[Row], equal: Flags, difference: Floats) -> list[dict[str, Any]]:
    """Return the parts of the rows in which the two differ most."""
    found: list[dict[str, Any]] = []
    for name in spec.features:
        column = [row["features"].get(name) for row in rows]
        for segment, here in _parts(column):
            if here.sum() >= MIN_SEGMENT:
                found.append({
                    "feature": name, "segment": segment, "n_rows": int(here.sum()),
                    "agreement": float(equal[here].mean()), "difference": float(difference[here].mean()),
                })  # fmt: skip
    found.sort(key=lambda one: (one["agreement"], -one["difference"]))
    return found[:MAX_SEGMENTS]


def _parts(column: Sequence[Any]) -> list[tuple[str, Flags]]:
    """Cut one feature: at its quartiles, or by its most frequent values; gaps are a part of their own."""
    missing = np.array([value is None for value in column], dtype=np.bool_)
    present = [value for value in column if value is not None]
    parts = [("missing", missing)] if missing.any() else []
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    if not present or not is_number:
        return [*parts, *_by_value(column, present)]
    values = np.array([np.nan if value is None else value for value in column], dtype=np.float64)
    edges = np.unique(np.quantile(np.array(present, dtype=np.float64), np.linspace(0, 1, N_RANGES + 1)))
    for low, high, is_last in zip(edges, edges[1:], [*[False] * (len(edges) - 2), True], strict=False):
        below = values <= high if is_last else values < high
        parts.append((f"{low:.4g} to {high:.4g}", (values >= low) & below))
    return parts


def _by_value(column: Sequence[Any], present: Sequence[Any]) -> list[tuple[str, Flags]]:
    values, counts = np.unique([str(value) for value in present], return_counts=True)
    most = values[np.argsort(-counts, kind="stable")][:MAX_VALUES]
    texts = np.array(["" if value is None else str(value) for value in column], dtype=object)
    return [(str(value), np.asarray(texts == value, dtype=np.bool_)) for value in most]


def _latency(version: LoadedVersion, rows: Sequence[Row]) -> dict[str, float] | None:
    """Return the milliseconds that scoring single rows takes here: median and 99 %."""
    batches = _singles(Schema(version.spec), rows[:N_TIMED])
    if not batches:
        return None
    took = []
    for batch in batches:
        start = time.perf_counter()
        version.predictor.scores(batch.numbers, batch.texts)
        took.append((time.perf_counter() - start) * 1_000)
    p50, p99 = np.quantile(took, [0.5, 0.99])
    return {"p50": round(float(p50), 4), "p99": round(float(p99), 4)}


def _singles(schema: Schema, rows: Sequence[Row]) -> list[Batch]:
    return [schema.from_rows([row["features"]]) for row in rows]


def _sentence(found: Compared, equal: Flags, ours: str, theirs: str) -> str:
    if not len(equal):
        return "There are no logged rows that both versions take."
    judged = (
        "" if found.decision is None else f" On {found.n_labelled} with a label: {found.decision.sentence}"
    )
    return f"{ours} and {theirs} agree on {equal.mean():.1%} of {len(equal)} logged rows.{judged}"
