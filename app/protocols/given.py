"""Rows as a protocol brought them, and where in the body each of their values stands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.columns import escape
from model.schema import Batch, Schema
from utils.errors import BadRequestError, Fault, InvalidRowsError


@dataclass(frozen=True, slots=True)
class Given:
    """Rows of one body.

    Attributes
    ----------
    rows : sequence of object
        Each should be a mapping of field names to values; the schema says so where it is none.
    place : callable
        Gets the number of a row and the name of a field (None: the row as a whole) and returns the JSON
        pointer of that place in the body.
    """

    rows: Sequence[object]
    place: Callable[[int, str | None], str]

    def checked(self, schema: Schema) -> Batch:
        """Check the rows; raises as ``Schema.from_rows`` does, with pointers into the body."""
        try:
            return schema.from_rows(self.rows, str)
        except InvalidRowsError as error:
            raise InvalidRowsError(error.detail, [self._placed(fault) for fault in error.faults]) from None

    def _placed(self, fault: Fault) -> Fault:
        row, _, name = fault.pointer.partition("/")
        if not row.isdecimal():
            return fault  # about the body as a whole
        field = name.replace("~1", "/").replace("~0", "~") if name else None
        return Fault(self.place(int(row), field), fault.code, fault.detail, name)


def by_row(rows: Sequence[object], prefix: str) -> Given:
    """Return rows that stand one after the other at a JSON pointer, each an object."""
    return Given(rows, lambda row, name: f"{prefix}/{row}" + ("" if name is None else f"/{escape(name)}"))


def by_column(columns: Mapping[str, Sequence[Any]], prefix: str) -> Given:
    """Return rows that stand column by column at a pointer; raises InvalidRowsError if lengths differ."""
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in lengths.items())
        detail = f"The columns differ in length: {told}."
        raise InvalidRowsError(detail, [Fault(prefix, "shape", detail)])
    names = list(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def place(row: int, name: str | None) -> str:
        return f"{prefix}/{escape(name)}/{row}" if name is not None and name in columns else prefix

    return Given(rows, place)


def table(names: Sequence[str], rows: Sequence[object], prefix: str) -> Given:
    """Return rows that are lists of values in the order of ``names``, at a JSON pointer.

    Raises InvalidRowsError for a row that is no list of that length.
    """
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            detail = f"A row needs {len(names)} values, one for each of {', '.join(names[:12])}."
            raise InvalidRowsError(detail, [Fault(f"{prefix}/{number}", "shape", detail)])
    positions = {name: position for position, name in enumerate(names)}
    named: list[object] = [dict(zip(names, row, strict=True)) for row in rows]  # type: ignore[call-overload]

    def place(row: int, name: str | None) -> str:
        return f"{prefix}/{row}" + ("" if name not in positions else f"/{positions[name]}")

    return Given(named, place)


def object_of(body: object) -> dict[str, Any]:
    """Return a body that must be an object; raises BadRequestError."""
    if not isinstance(body, dict):
        raise BadRequestError("The body must be a JSON object.")
    return body
