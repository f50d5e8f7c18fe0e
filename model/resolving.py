"""What a spec leaves open, filled in from training rows: classes, ranges, categories, examples, metrics.

What the spec says stays as it says it. The result is a spec like any other, and travels with the version.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from model.columns import EPOCH, number_inside
from model.frame import Rows, Values, missing_cells, target_values
from model.spec import Feature, Label, Spec
from utils.errors import TableError

METRICS = {
    "classification": ("roc_auc", "average_precision", "accuracy", "precision", "recall", "f1", "brier"),
    "regression": ("rmse", "mae", "r2"),
}
MAX_CLASSES = 100
# A column with more texts, or where most rows have a text of their own, holds names rather than categories.
MAX_CATEGORIES = 1_000
MAX_SHARE_DISTINCT = 0.5
FEW = 20


def with_classes(spec: Spec, table: pd.DataFrame) -> Spec:
    """Return the spec with classes: those it names, else the distinct labels of the table, sorted.

    Raises
    ------
    TableError
        If the target is lacking or its values are not those of a classification.
    """
    if spec.task == "regression" or spec.target.classes:
        return spec
    labels = tuple(
        label for label in distinct_labels(target_values(spec, table)) if label not in spec.target.unknown
    )
    name, count = spec.target.name, len(labels)
    if count < 2:
        raise TableError(
            f"The target column {name!r} has {count} distinct values; there must be two at least."
        )
    if count > MAX_CLASSES:
        raise TableError(
            f"The target column {name!r} has {count} distinct values, more than {MAX_CLASSES} classes."
            " For a number to be predicted, set `task: regression`."
        )
    return msgspec.structs.replace(spec, target=msgspec.structs.replace(spec.target, classes=labels))


def distinct_labels(values: Values) -> tuple[Label, ...]:
    """Return distinct values, sorted: as integers or truth values where all are such, else as texts."""
    present = {str(value).strip() for value in values[~missing_cells(values)]}
    if {text.lower() for text in present} == {"false", "true"}:
        return (False, True)
    try:
        numbers = sorted({float(text) for text in present})
    except ValueError:
        return tuple(sorted(present))
    return tuple(int(n) if n.is_integer() else n for n in numbers)


def resolve(spec: Spec, rows: Rows) -> Spec:
    """Return the spec with everything filled in that it leaves open.

    Parameters
    ----------
    spec : Spec
        With classes, if a classification.
    rows : Rows
        Training rows.
    """
    features = {name: _feature(feature, rows.features[name]) for name, feature in spec.features.items()}
    target = spec.target
    if spec.task == "regression":
        low, high = float(rows.y.min()), float(rows.y.max())
        low, high = _or(target.min, low), _or(target.max, high)
        target = msgspec.structs.replace(target, min=low, max=high)
    metrics = spec.metrics or _metrics(spec, rows)
    return msgspec.structs.replace(spec, features=features, target=target, metrics=metrics)


def _metrics(spec: Spec, rows: Rows) -> tuple[str, ...]:
    metrics = METRICS[spec.task]
    is_positive = spec.task == "regression" and bool((rows.y > 0).all())
    return (*metrics, "mape", "r2_log") if is_positive else metrics


def _or(given: float | None, found: float) -> float:
    return found if given is None else given


def _feature(feature: Feature, column: "pd.Series[Any]") -> Feature:
    present = column.dropna()
    if present.empty:
        return feature
    if feature.type == "category":
        return _category(feature, present)
    changes: dict[str, Any] = {"example": _or(feature.example, _example(feature, present))}
    if feature.type != "boolean":
        changes |= {
            "min": _or(feature.min, float(present.min())),
            "max": _or(feature.max, float(present.max())),
        }
    return msgspec.structs.replace(feature, **changes)


def _category(feature: Feature, present: "pd.Series[Any]") -> Feature:
    counts = present.value_counts()
    example = feature.example if feature.example is not None else str(counts.index[0])
    feature = msgspec.structs.replace(feature, example=example)
    if feature.pattern is not None:
        return _measured(feature, counts.index)
    if feature.categories is None and not _are_names(len(counts), len(present)):
        feature = msgspec.structs.replace(feature, categories=tuple(sorted(counts.index)))
    return feature


def _measured(feature: Feature, texts: Iterable[str]) -> Feature:
    """Fill in the range of the numbers inside texts, if the pattern finds any."""
    pattern = re.compile(feature.pattern or "")
    inside = [number for text in texts if (number := number_inside(text, pattern)) == number]
    if not inside:
        return feature
    return msgspec.structs.replace(
        feature, min=_or(feature.min, min(inside)), max=_or(feature.max, max(inside))
    )


def _are_names(n_distinct: int, n_rows: int) -> bool:
    return n_distinct > MAX_CATEGORIES or n_distinct > max(FEW, MAX_SHARE_DISTINCT * n_rows)


def _example(feature: Feature, present: "pd.Series[Any]") -> Any:
    """A value in the middle, as a request would write it."""
    middle = float(np.sort(present.to_numpy())[len(present) // 2])
    if feature.type == "boolean":
        return bool(middle)
    if feature.type == "integer":
        return int(middle)
    return middle if feature.type == "number" else _date_text(middle, feature.format)


def _date_text(days: float, form: str | None) -> str:
    if form:
        return (datetime(1970, 1, 1) + timedelta(days=days)).strftime(form)  # noqa: DTZ001  a day, no instant
    return (EPOCH + timedelta(days=int(days))).isoformat()
