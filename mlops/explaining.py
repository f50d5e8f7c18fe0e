"""What an alarm says besides numbers: since when, how predictions moved, which rows to see, what to do.

Reads a few logged rows of the windows that drifted; decides nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells
from model.monitoring.columns import is_missing
from model.monitoring.feature import FeatureReference
from model.monitoring.reference import PREDICTION, PROBABILITY, ModelReference
from model.monitoring.results import DriftResult, FeatureDrift

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
N_SAMPLES = 5
ADVICE = {
    "distribution": "If the world changed, collect labels and retrain; if a source changed, mend it. If this"
    " is how it shall be, accept it: python -m mlops drift accept {model}",
    "missing": "Look for what stopped filling it in: a form, a join, a client's version.",
    "type_fault": "A client sends another type than before; the samples show which.",
    "unseen": "New categories: check the spelling, or collect rows with them and retrain.",
    "out_of_range": "Check the unit and the source; if such values are right, widen the range and retrain.",
    "together": "Each alone is as before, together they are not: look for a join, an id or a formula that"
    " went wrong; if the world changed, collect labels and retrain.",
    "agreement": "Each alone is as before, together they are not: look for a join or an id that went wrong.",
}
# Prediction ids and the column's values of the newest rows in [start, end).
Newest = Callable[[datetime, datetime, str], Sequence[tuple[str, Any]]]


def explained(
    model: str, result: DriftResult, reference: ModelReference, last: int, newest: Newest
) -> list[dict[str, Any]]:
    """Return for each alarm what people need to act on it, the largest effect first.

    Parameters
    ----------
    last : int
        Number of the newest hour, counted from 1970.
    newest : callable
        Gives prediction ids and values of a column in a window, the newest rows first.
    """
    moved = prediction_moved(result)
    return [
        {
            "feature": check.feature,
            "check": check.check,
            "effect": check.effect,
            "sentence": check.sentence,
            "since": None if check.since_period is None else EPOCH + check.since_period * HOUR,
            "prediction": moved,
            "segments": [one.to_document() for one in result.touched.get(check.feature, ())],
            "sample_ids": _samples(check, reference, last, newest),
            "advice": ADVICE[check.check].format(model=model),
        }
        for check in result.drifted
    ]


def prediction_moved(result: DriftResult) -> str | None:
    """Say how the predictions moved, whether that is an alarm or not; None without rows."""
    outputs = {one.feature: one for one in result.features if one.role == "output" and one.n}
    check = outputs.get(PROBABILITY[1:]) or outputs.get(PREDICTION[1:])
    if check is None:
        return None
    return f"{check.sentence} (effect {check.effect:.2g})" if check.effect is not None else check.sentence


def _samples(check: FeatureDrift, reference: ModelReference, last: int, newest: Newest) -> list[str]:
    names = {one.label: name for name, one in reference.features.items()}
    if check.feature not in names:
        return []
    end = EPOCH + (last + 1 - check.n_periods_ago) * HOUR
    rows = newest(end - check.n_periods * HOUR, end, names[check.feature])
    return [
        prediction_id for prediction_id, _ in _telling(check, reference.features[names[check.feature]], rows)
    ]


def _telling(
    check: FeatureDrift, feature: FeatureReference, rows: Sequence[tuple[str, Any]]
) -> list[tuple[str, Any]]:
    """Return the rows that show the change best."""
    if check.check == "missing":
        return [row for row in rows if is_missing(row[1])][:N_SAMPLES]
    cells = [_cell(feature, value) for _, value in rows]
    pairs = list(zip(rows, cells, strict=True))
    if check.check == "type_fault":
        return [row for row, cell in pairs if cell == feature.cells.n_counts - 1][:N_SAMPLES]
    there = [(row, cell) for row, cell in pairs if cell < feature.cells.n_values]
    score = _scores(check, feature, np.array([cell for _, cell in there], dtype=np.int64))
    order = np.argsort(-score, kind="stable")[:N_SAMPLES]
    return [there[place][0] for place in order.tolist()]


def _cell(feature: FeatureReference, value: Any) -> int:
    return int(feature.cells.count(feature.read([value])).values.argmax())


def _scores(check: FeatureDrift, feature: FeatureReference, cells: Ints) -> Ints:
    """Say how far each row lies on the side to which the feature moved."""
    if isinstance(feature.cells, CategoryCells):
        n_values = feature.cells.n_values
        now = np.bincount(cells, minlength=n_values) / max(1, len(cells))
        before = feature.values(feature.counts) / max(1, int(feature.values(feature.counts).sum()))
        return np.asarray((now - before)[cells])
    if check.check == "out_of_range":
        return np.asarray(np.abs(cells - feature.cells.n_values // 2))
    before_median, now_median = check.median_reference, check.median_current
    is_up = before_median is None or now_median is None or now_median >= before_median
    return cells if is_up else -cells


def columns_named(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return what takes a feature or an output out of a logged row."""
    if name in (PREDICTION, PROBABILITY):
        return lambda row: row.get(name[1:])
    return lambda row: row["features"].get(name)
