"""Labels in: read, checked against the model that gave the prediction, and stored.

A label may come before its prediction is stored; it is kept then as it was sent, and read when the two meet.
Light, as the web process takes labels.
"""

import csv
import io
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.columns import range_text, shown
from model.labels import LabelReader, UnknownLabelError
from model.schema import parse_json
from model.spec import Feature, Spec
from utils.errors import BadRequestError, Fault, InvalidRowsError, TooLargeError
from utils.mongo.labels import Label, LabelStore
from utils.mongo.predictions import PredictionStore
from utils.time import now

WRAPPERS = ("labels", "data", "instances")
MAX_FAULTS = 100
MAX_ID = 200
MAX_TEXT = 1_000
MAX_INT = 2**63 - 1
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Given:
    """One label as it was sent; ``pointer`` says where in the request it stands."""

    prediction_id: str
    label: Any
    pointer: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of the labels of one request: stored, and how many wait for their prediction."""

    n_labels: int
    n_waiting: int


class Labelling:
    """Checks labels and stores them.

    Parameters
    ----------
    labels, predictions : LabelStore, PredictionStore
        Where they are kept.
    files : mapping of str to Spec
        The specs as their files say: only a range that somebody wrote down can make a label wrong.
    spec_of : callable
        Returns the resolved spec of a model, with its classes, or None.
    """

    def __init__(
        self,
        labels: LabelStore,
        predictions: PredictionStore,
        files: Mapping[str, Spec],
        spec_of: Callable[[str], Spec | None],
    ) -> None:
        self._labels = labels
        self._predictions = predictions
        self._files = files
        self._spec_of = spec_of

    def put(self, given: Sequence[Given]) -> Accepted:
        """Store labels; the last one of a prediction wins.

        Raises
        ------
        InvalidRowsError
            If a label is none of its model's; then nothing is stored.
        UnavailableError
            While MongoDB is away; some may be stored, and the same request may be sent again.
        """
        models = self._models([one.prediction_id for one in given])
        readers = {
            model: _Reader(self._spec_of(model), self._files.get(model)) for model in set(models.values())
        }
        faults: list[Fault] = []
        at = now()
        checked = [Label(one.prediction_id, _checked(one, models, readers, faults), at) for one in given]
        if faults:
            raise _invalid(faults, len(given))
        for start in range(0, len(checked), BATCH):
            self._labels.put_many(checked[start : start + BATCH])
        return Accepted(len(given), sum(one.prediction_id not in models for one in given))

    def _models(self, ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(ids), BATCH):
            stored = self._predictions.by_ids(ids[start : start + BATCH], fields=["model"])
            found |= {prediction_id: row["model"] for prediction_id, row in stored.items()}
        return found


class _Reader:
    """Reads the labels of one model; of an unknown one, as they are."""

    def __init__(self, spec: Spec | None, file: Spec | None) -> None:
        self._reader = LabelReader(spec) if spec and (spec.labels or spec.task == "regression") else None
        self._target = file.target if file and file.task == "regression" else None

    def read(self, value: Any) -> Any:
        """Return the label as the spec writes it. Raises UnknownLabelError."""
        if self._reader is None:
            return value
        label = self._reader.label(value)
        if self._target is not None:
            self._check_range(float(label), value)
        return label

    def _check_range(self, number: float, value: Any) -> None:
        target = self._target
        assert target is not None  # noqa: S101  narrows the type
        low = -math.inf if target.min is None else target.min
        high = math.inf if target.max is None else target.max
        if not low <= number <= high:
            limits = range_text(Feature(type="number", min=target.min, max=target.max))
            raise UnknownLabelError(f"{shown(value)} is not {limits}")


def _checked(
    one: Given, models: Mapping[str, str], readers: Mapping[str, _Reader], faults: list[Fault]
) -> Any:
    model = models.get(one.prediction_id)
    if model is None:
        return one.label
    try:
        return readers[model].read(one.label)
    except UnknownLabelError as error:
        faults.append(Fault(f"{one.pointer}/label", "label", f"{error} of {model}."))
        return None


def _invalid(faults: Sequence[Fault], n_labels: int) -> InvalidRowsError:
    count = f"{len(faults)} fault{'s' * (len(faults) > 1)} in {n_labels} labels; none was stored."
    return InvalidRowsError(count, faults[:MAX_FAULTS])


def from_json(body: bytes, max_labels: int) -> list[Given]:
    """Read ``{"prediction_id": …, "label": …}``, a list of them, or ``{"labels": [...]}``.

    Raises
    ------
    BadRequestError
        If it is not strict JSON.
    InvalidRowsError
        If an entry has no prediction id or no label; has one fault for each.
    TooLargeError
        If there are more than ``max_labels``.
    """
    entries, prefix = parse_json(body), "#"
    if isinstance(entries, dict):
        wrapper = next((name for name in WRAPPERS if isinstance(entries.get(name), list)), None)
        if wrapper is None:
            return _given([entries], lambda position: "#", max_labels)
        entries, prefix = entries[wrapper], f"#/{wrapper}"
    if not isinstance(entries, list):
        raise InvalidRowsError("Send a list of labels.", [Fault("#", "type", "This is not a list.")])
    return _given(entries, lambda position: f"{prefix}/{position}", max_labels)


def from_csv(body: bytes, max_labels: int) -> list[Given]:
    """Read CSV text with the columns ``prediction_id`` and ``label``; raises as ``from_json`` does."""
    try:
        rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    except UnicodeDecodeError:
        raise BadRequestError("The body is not UTF-8.") from None
    except csv.Error as error:
        raise BadRequestError(f"The body is not CSV: {error}.") from None
    entries = [{name: value or None for name, value in row.items() if name} for row in rows]
    return _given(entries, lambda position: f"#/{position}", max_labels)


def from_file(path: Path) -> list[Given]:
    """Read labels from a CSV or JSON file (by its ending) of any length; raises as ``from_json`` does."""
    read = from_json if path.suffix.lower() == ".json" else from_csv
    return read(path.read_bytes(), sys.maxsize)


def _given(entries: Sequence[Any], pointer: Callable[[int], str], max_labels: int) -> list[Given]:
    if not entries:
        raise InvalidRowsError("There are no labels.", [Fault("#", "empty", "Send one at least.")])
    if len(entries) > max_labels:
        raise TooLargeError(f"{len(entries)} labels are more than the {max_labels} of one request.")
    faults = [fault for i, entry in enumerate(entries) for fault in _faults(entry, pointer(i))]
    if faults:
        raise _invalid(faults, len(entries))
    return [Given(entry["prediction_id"], entry["label"], pointer(i)) for i, entry in enumerate(entries)]


def _faults(entry: Any, pointer: str) -> list[Fault]:
    if not isinstance(entry, dict):
        return [Fault(pointer, "type", f"{shown(entry)} is not an object with prediction_id and label.")]
    found = []
    prediction_id, label = entry.get("prediction_id"), entry.get("label")
    if not isinstance(prediction_id, str) or not 0 < len(prediction_id) <= MAX_ID or "\0" in prediction_id:
        words = "The id that the answer to /predict gave is needed."
        found.append(Fault(f"{pointer}/prediction_id", "missing" if prediction_id is None else "type", words))
    if label is None:
        found.append(Fault(f"{pointer}/label", "missing", "The true value is needed."))
    elif not _is_storable(label):
        found.append(Fault(f"{pointer}/label", "type", f"{shown(label)} is not a label."))
    return found


def _is_storable(label: Any) -> bool:
    if isinstance(label, str):
        return len(label) <= MAX_TEXT
    if isinstance(label, bool):
        return True
    if isinstance(label, int):
        return abs(label) <= MAX_INT
    return isinstance(label, float) and math.isfinite(label)
