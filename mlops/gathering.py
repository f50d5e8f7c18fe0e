"""The rows of a training: the training file, labelled predictions, rows that somebody sent. Heavy (pandas).

Which of them count, the spec's section ``retrain`` says: a share of the file, the labelled predictions of the
last days, or only those since a moment, as after concept drift.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from model import frame, packing
from model.bundled import bundled_rows
from model.labels import LabelReader, UnknownLabelError
from model.spec import Spec
from utils.mongo.labels import LabelStore
from utils.mongo.predictions import PredictionStore
from utils.time import now

Row = Mapping[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BATCH = 2_000
SEED = 20_240_101
FIELDS = ("model", "features", "at")


@dataclass(frozen=True)
class Gathered:
    """The rows of a training: where from, how many of each, and which predictions are among them.

    In ``table`` those of the file come first, then the labelled predictions, then the given rows.
    """

    table: pd.DataFrame
    source: str
    digest: str
    n_bundled: int
    n_given: int
    prediction_ids: list[str]

    def is_logged(self, positions: "pd.Index[Any]") -> "pd.Series[Any]":
        """Tell which of these positions in ``table`` are labelled predictions."""
        end = self.n_bundled + len(self.prediction_ids)
        return pd.Series((positions >= self.n_bundled) & (positions < end))


@dataclass(frozen=True)
class Gatherer:
    """Reads rows from file and log."""

    predictions: PredictionStore
    labels: LabelStore

    def gather(self, spec: Spec, path: Path, given: Sequence[Row], since: datetime | None, *,
               with_logged: bool) -> Gathered:  # fmt: skip
        """Return the rows to learn from.

        Parameters
        ----------
        path : Path
            The spec's file; the training file lies beside it.
        given : sequence of mappings
            Further rows with their label.
        since : datetime or None
            Nothing older is to be learnt: predictions from here on, and no row of the training file.
        with_logged : bool
            Whether labelled predictions count.
        """
        file = bundled_rows(spec, path)
        bundled = _share(frame.read_table(file, spec), 0.0 if since else spec.retrain.bundled_share)
        logged = self.labelled(spec, _start(spec, since)) if with_logged else {}
        further = [*logged.values(), *given]
        table = pd.concat([bundled.astype(object), _table(further, bundled.columns)], ignore_index=True)
        table.index.name = "row"
        counts = [(len(logged), "labelled predictions"), (len(given), "rows given")]
        source = " + ".join([*([file.name] if len(bundled) else []),
                             *(f"{count} {what}" for count, what in counts if count)])  # fmt: skip
        return Gathered(table, source, packing.file_digest(file), len(bundled), len(given), list(logged))

    def labelled(self, spec: Spec, start: datetime) -> dict[str, Row]:
        """Return predictions since ``start`` that have a usable label, by id, the oldest label first."""
        reader = LabelReader(spec) if spec.labels or spec.task == "regression" else None
        ids = self.labels.changed(EPOCH, now())
        found: dict[str, Row] = {}
        for first in range(0, len(ids), BATCH):
            rows = self.predictions.by_ids(ids[first : first + BATCH], fields=FIELDS)
            ours = [one for one in ids[first : first + BATCH] if _is_ours(rows.get(one), spec, start)]
            labels = self.labels.for_predictions(ours)
            for one in ours:
                if one in labels and _is_readable(reader, labels[one]):
                    found[one] = rows[one]["features"] | {spec.target.name: labels[one]}
        return found


def _is_ours(row: Row | None, spec: Spec, start: datetime) -> bool:
    return row is not None and row["model"] == spec.name and row["at"] >= start


def _start(spec: Spec, since: datetime | None) -> datetime:
    days = spec.retrain.window_days
    window = EPOCH if days is None else now() - timedelta(days=days)
    return window if since is None else max(window, since)


def _share(table: pd.DataFrame, share: float) -> pd.DataFrame:
    """Return a share of the rows, the same ones each time."""
    return table if share >= 1 else table.sample(frac=share, random_state=SEED).sort_index()


def _is_readable(reader: LabelReader | None, label: Any) -> bool:
    try:
        return reader is None or reader.read(label) is not None
    except UnknownLabelError:
        return False


def _table(rows: Sequence[Row], columns: Any) -> pd.DataFrame:
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    return pd.DataFrame({n: pd.Series([row.get(n) for row in rows], dtype=object) for n in names})
