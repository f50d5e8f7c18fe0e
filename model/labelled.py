"""Rows with their label as a request brings them to learn from: checked as rows to be scored are. Light."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from model.columns import escape, shown
from model.csv_body import rows_of
from model.labels import LabelReader, UnknownLabelError
from model.schema import MAX_FAULTS, WRAPPERS, Batch, Schema, parse_json
from model.spec import Spec
from utils.errors import Fault, InvalidRowsError

Row = dict[str, Any]
Pointer = Callable[[int], str]

# A handful of rows cannot change a model for the better, only by accident for the worse.
MIN_ROWS = 10


class LabelledSchema:
    """Reads labelled rows of one model.

    Parameters
    ----------
    spec : Spec
        Resolved where the model has a champion.
    max_rows : int
        Most rows of one request.
    """

    def __init__(self, spec: Spec, max_rows: int) -> None:
        self._spec = spec
        self._target = spec.target.name
        others = [name for name in (spec.id, spec.subject) if name]
        # The label takes the place of the id: read with the row, kept beside it, never scored.
        reading = msgspec.structs.replace(
            spec, id=self._target, subject=None, ignored=(*spec.ignored, *others)
        )
        self._schema = Schema(reading, max_rows=max_rows)
        is_readable = spec.task == "regression" or spec.labels
        self._reader = LabelReader(spec) if is_readable else None

    def from_json(self, body: bytes) -> list[Row]:
        """Read a JSON list of rows, or one in ``data`` or ``instances``.

        Returns
        -------
        list of dict
            Features and target of each row.

        Raises
        ------
        BadRequestError
            If it is not strict JSON.
        InvalidRowsError
            If a row or label cannot be used, there are fewer than ``MIN_ROWS``, or all have one label.
        TooLargeError
            If there are too many rows.
        """
        rows, prefix = parse_json(body), "#"
        if isinstance(rows, dict):
            for wrapper in WRAPPERS:
                if isinstance(rows.get(wrapper), dict | list):
                    rows, prefix = rows[wrapper], f"#/{wrapper}"
                    break
        if isinstance(rows, list):
            return self._checked(rows, lambda row: f"{prefix}/{row}")
        return self._checked([rows], lambda row: prefix)

    def from_csv(self, body: bytes) -> list[Row]:
        """Read CSV text with a header; raises as ``from_json`` does."""
        rows = [
            {n: None if v == "" else v for n, v in row.items()}
            for row in rows_of(body, self._spec, self._schema.max_rows)
        ]
        return self._checked(rows, lambda row: f"#/{row}")

    def _checked(self, rows: Sequence[object], pointer: Pointer) -> list[Row]:
        batch = self._schema.from_rows(rows, pointer)
        labels = self._labels(batch, pointer)
        self._check_enough(labels)
        return [
            dict(zip(batch.names, values, strict=True)) | {self._target: label}
            for values, label in zip(batch.values, labels, strict=True)
        ]

    def _labels(self, batch: Batch, pointer: Pointer) -> list[Any]:
        faults: list[Fault] = []
        labels = [self._label(v, f"{pointer(i)}/{escape(self._target)}", faults)
                  for i, v in enumerate(batch.references)]  # fmt: skip
        if faults:
            detail = f"{len(faults)} of {len(batch)} rows have no usable {self._target!r}."
            raise InvalidRowsError(detail, faults[:MAX_FAULTS])
        return labels

    def _label(self, value: Any, pointer: str, faults: list[Fault]) -> Any:
        if value is None:
            faults.append(
                Fault(pointer, "missing", f"{self._target!r}, the label, is needed to learn from a row.")
            )
            return None
        try:
            return value if self._reader is None else self._reader.label(value)
        except UnknownLabelError as error:
            faults.append(Fault(pointer, "label", f"{error}."))
            return None

    def _check_enough(self, labels: Sequence[Any]) -> None:
        if len(labels) < MIN_ROWS:
            detail = f"{len(labels)} rows are too few to learn from; send {MIN_ROWS} at least."
            raise InvalidRowsError(detail, [Fault("#", "too_few", detail)])
        if len(set(labels)) == 1:
            what = "are of one class" if self._spec.task == "classification" else "have one value"
            detail = f"All rows {what}, {shown(labels[0])}; a model cannot learn the difference from them."
            raise InvalidRowsError(detail, [Fault("#", "one_class", detail)])
