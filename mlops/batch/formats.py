"""Answers as they are written: CSV, NDJSON or Parquet, a part at a time, and the parts put together.

NDJSON has what ``/predict`` answers; the other two have a column each. Warnings and sets are JSON in CSV.
With more than two classes there is a column for the probability of each.
"""

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

import msgspec
import numpy as np

from mlops.batch.places import Kind, has_arrow
from model.bulk.answers import Answers
from model.columns import RowWarning
from model.spec import Spec

Table = dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """Answered rows of a part: who they are, and what was said.

    ``ids`` are their prediction ids where they are logged, ``file`` is the name of theirs where there are
    many.
    """

    rows: Any
    answers: Answers
    common: Sequence[RowWarning]
    references: Sequence[Any]
    ids: Sequence[str] | None
    file: str | None

    def warnings(self, row: int) -> list[RowWarning]:
        """Return what is odd about a row."""
        return [*self.common, *self.answers.warnings.get(row, ())]


class Format:
    """How the answers of one model are written."""

    def __init__(
        self, spec: Spec, kind: Kind, *, has_certainty: bool, is_logged: bool, has_files: bool
    ) -> None:
        self._spec, self._kind, self._has_certainty = spec, kind, has_certainty
        self._is_logged, self._has_files = is_logged, has_files
        self._names = self._spec.class_names

    def columns(self) -> dict[str, str]:
        """Return the names of the columns, and what is in each."""
        found = {"row": "integer"} | ({"file": "text"} if self._has_files else {})
        found |= {self._spec.id: "text"} if self._spec.id else {}
        found |= {"prediction_id": "text"} if self._is_logged else {}
        if self._spec.task == "regression":
            found |= {"prediction": "number"}
        else:
            found |= {"prediction": _kind_of(self._spec.labels), "class": "text", "probability": "number"}
        if len(self._names) > 2:
            found |= {f"probability_{name}": "number" for name in self._names}
        return found | self._certainty() | {"warnings": "warnings"}

    def _certainty(self) -> dict[str, str]:
        if not self._has_certainty:
            return {}
        if self._spec.task == "regression":
            return {"interval_low": "number", "interval_high": "number"}
        return {"set": "texts"}

    def encode(self, answered: Sequence[Answered]) -> bytes:
        """Return the rows of a part as bytes."""
        if self._kind == "ndjson":
            lines = [line for one in answered for line in self._objects(one)]
            return b"".join(map(msgspec.json.Encoder().encode_lines, [lines])) if lines else b""
        tables = [self._table(one) for one in answered]
        if self._kind == "parquet":
            return _stream(tables, self.columns())
        return b"".join(_csv(table, self.columns()) for table in tables)

    def _table(self, one: Answered) -> Table:
        n_rows, answers = len(one.rows), one.answers
        found: Table = {"row": one.rows, "file": [one.file] * n_rows if self._has_files else None}
        if self._spec.id:
            found[self._spec.id] = [None if value is None else str(value) for value in one.references]
        found["prediction_id"] = one.ids
        if answers.chosen is None:
            found["prediction"] = answers.values
        else:
            found["prediction"] = _picked(self._predicted(), answers.chosen)
            found["class"] = _picked(list(self._names), answers.chosen)
            found["probability"] = answers.values
            found |= {f"probability_{name}": answers.scores[:, i] for i, name in enumerate(self._names)}
        if answers.interval is not None:
            found["interval_low"], found["interval_high"] = answers.interval
        if answers.sets is not None:
            found["set"] = _picked(self._written(answers.sets.distinct), answers.sets.codes)
        found["warnings"] = self._warnings(one, n_rows)
        return {name: found[name] for name in self.columns()}

    def _written(self, lists: list[list[str]]) -> list[Any]:
        return list(map(_json, lists)) if self._kind == "csv" else lists

    def _predicted(self) -> list[Any]:
        labels = list(self._spec.labels)
        return [str(label) for label in labels] if _kind_of(labels) == "text" else labels

    def _warnings(self, one: Answered, n_rows: int) -> Any:
        as_text = self._kind == "csv"
        shared = _plain(one.common)
        column: list[Any] = [
            None if as_text and not shared else _json(shared) if as_text else shared
        ] * n_rows
        for row in one.answers.warnings:
            found = _plain(one.warnings(row))
            column[row] = _json(found) if as_text else found
        return column

    def _objects(self, one: Answered) -> Iterator[Table]:
        answers, n_rows = one.answers, len(one.rows)
        predictions = answers.predictions(self._spec.labels)
        scores = answers.scores.tolist()
        values = answers.values.tolist()
        chosen = [] if answers.chosen is None else answers.chosen.tolist()
        for i, row in enumerate(one.rows.tolist()):
            found: Table = {"row": row} | ({"file": one.file} if self._has_files else {})
            if self._spec.id:
                found[self._spec.id] = one.references[i]
            if one.ids is not None:
                found["prediction_id"] = one.ids[i]
            found["prediction"] = predictions[i]
            if chosen:
                found["class"], found["probability"] = self._names[chosen[i]], values[i]
                found["probabilities"] = dict(zip(self._names, scores[i], strict=True))
            found["warnings"] = one.warnings(i) if one.common or i in answers.warnings else []
            yield found | answers.certainty(i)
        assert len(predictions) == n_rows  # noqa: S101  each row has one

    def writer(self, target: IO[bytes]) -> "Writer":
        """Return what puts encoded parts together."""
        if self._kind == "parquet":
            return _ParquetWriter(target, self.columns())
        if self._kind == "csv":
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerow(self.columns())
            target.write(text.getvalue().encode())
        return TextWriter(target)


class Writer(Protocol):
    """Puts encoded parts together, with one at a time in memory."""

    def add(self, part: IO[bytes]) -> None:
        """Append a part."""

    def close(self) -> None:
        """Write what comes last."""


class TextWriter:
    """Lines after lines."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target

    def add(self, part: IO[bytes]) -> None:
        """Append a part."""
        shutil.copyfileobj(part, self._target, 2**20)

    def close(self) -> None:
        """Nothing comes last."""


def _kind_of(labels: Sequence[Any]) -> str:
    kinds = set(map(type, labels))
    if kinds <= {bool}:
        return "boolean"
    if kinds <= {int}:
        return "integer"
    return "number" if kinds <= {int, float} else "text"


def _plain(warnings: Sequence[RowWarning]) -> list[dict[str, str]]:
    return [{"code": one.code, "feature": one.feature, "detail": one.detail} for one in warnings]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _picked(values: list[Any], positions: Any) -> Any:
    if has_arrow():
        import pyarrow as pa

        return pa.array(values).take(pa.array(positions))
    return [values[position] for position in positions.tolist()]


def _arrow(tables: Sequence[Table], columns: dict[str, str], nested: dict[str, Any]) -> Any:
    import pyarrow as pa

    kinds = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "boolean": pa.bool_()}
    schema = pa.schema([(name, (kinds | nested)[kind]) for name, kind in columns.items()])

    def batch(table: Table) -> Any:
        # NaN is what a regression gives where it gave no number.
        arrays = [pa.array(table[field.name], type=field.type, from_pandas=True) for field in schema]
        return pa.record_batch(arrays, schema=schema)

    return pa.Table.from_batches([batch(table) for table in tables], schema)


def _csv(table: Table, columns: dict[str, str]) -> bytes:
    if not has_arrow():
        text = io.StringIO()
        lists = [value.tolist() if isinstance(value, np.ndarray) else value for value in table.values()]
        rows = zip(*lists, strict=True)
        csv.writer(text, lineterminator="\n").writerows(["" if v != v else v for v in row] for row in rows)
        return text.getvalue().encode()
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    target = io.BytesIO()
    options = arrow_csv.WriteOptions(include_header=False)
    as_text = {"warnings": pa.string(), "texts": pa.string()}
    arrow_csv.write_csv(_arrow([table], columns, as_text), target, options)
    return target.getvalue()


def _lists() -> dict[str, Any]:
    import pyarrow as pa

    warning = pa.struct([(name, pa.string()) for name in ("code", "feature", "detail")])
    return {"warnings": pa.list_(warning), "texts": pa.list_(pa.string())}


def _stream(tables: Sequence[Table], columns: dict[str, str]) -> bytes:
    """Return rows as Arrow's own stream: of a Parquet file only the whole can be written."""
    from pyarrow import ipc

    target, found = io.BytesIO(), _arrow(tables, columns, _lists())
    with ipc.new_stream(target, found.schema, options=ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(found)
    return target.getvalue()


class _ParquetWriter:
    """A row group a part."""

    def __init__(self, target: IO[bytes], columns: dict[str, str]) -> None:
        from pyarrow import parquet as arrow_parquet

        few = [name for name in ("file", "prediction", "class") if columns.get(name) == "text"]
        schema = _arrow([], columns, _lists()).schema
        self._writer = arrow_parquet.ParquetWriter(target, schema, use_dictionary=few)

    def add(self, part: IO[bytes]) -> None:
        """Append a part, unless all of its rows were refused."""
        from pyarrow import ipc

        with ipc.open_stream(part) as stream:
            table = stream.read_all()
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)

    def close(self) -> None:
        """Write what comes last: where everything is."""
        self._writer.close()
