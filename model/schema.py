"""Rows in, one checked batch out: the schema of one model version, built once from its resolved spec.

Bodies whose rows are all regular are parsed and checked in one pass by a decoder generated from the spec; any
other body is read generically and each row examined, which names every fault and oddity.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.columns import Column, Remarks, RowWarning, Value, number, regular_type, shown
from model.csv_body import rows_of
from model.spec import Spec
from utils.errors import BadRequestError, Fault, InvalidRowsError, TooLargeError

WRAPPERS = ("data", "instances")
MAX_FAULTS = 100
# More in one row are a mistake or an attack, and naming them all would cost more than the answer.
MAX_UNKNOWN = 100
# Shared by all rows that have none; nobody adds to it.
NO_WARNINGS: list[RowWarning] = []
UNDECODABLE = re.compile(r'["\\\x00-\x1f]')
MAX_DIGITS = 400

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Checked rows of one request.

    Attributes
    ----------
    names : tuple of str
        The features, in spec order.
    values : list of tuple
        For each row its values in that order, as they are logged; missing is None.
    numbers : ndarray of shape (n_rows, n_numbers), float64
        What the pipeline gets for number, integer, boolean and date features; missing is NaN.
    texts : ndarray of shape (n_rows, n_texts), object
        What it gets for categories; missing is the empty text.
    warnings : sequence of sequence of RowWarning
        For each row what is odd about it.
    references, subjects : list
        For each row the value of the spec's ``id`` and ``subject`` field, or None.
    """

    names: tuple[str, ...]
    values: list[tuple[Value, ...]]
    numbers: NDArray[np.float64]
    texts: NDArray[np.object_]
    warnings: Sequence[Sequence[RowWarning]]
    references: list[Scalar]
    subjects: list[Scalar]

    def __len__(self) -> int:
        return len(self.values)


class Schema:
    """Reads and checks rows for one version."""

    def __init__(self, spec: Spec, *, max_rows: int = 1_000_000) -> None:
        self.spec = spec
        self.max_rows = max_rows
        self.names = tuple(spec.features)
        self._columns = [Column(name, spec) for name in self.names]
        extras = [spec.id, spec.subject, *spec.ignored]
        self._extras = list(dict.fromkeys(name for name in extras if name and name not in spec.features))
        self._known = frozenset(self.names) | frozenset(self._extras)
        self._measures = [(i, column) for i, column in enumerate(self._columns) if column.has_measure]
        self._any_texts = [(i, column) for i, column in enumerate(self._columns) if column.takes_any_text]
        self._may_be_empty = all(spec.features[name].missing for name in self.names)
        self._decoders = self._regular_decoders()
        self._tables = _Tables(spec)

    def _regular_decoders(self) -> list[Callable[[bytes], list[msgspec.Struct]]]:
        """One decoder for each shape of body; each raises for rows that need a closer look."""
        if any(map(UNDECODABLE.search, (*self.names, *self._extras))):
            return []  # msgspec refuses such names, so every row gets the closer look
        fields = [self._field(f"f{i}", name) for i, name in enumerate(self.names)]
        fields += [(f"x{i}", Scalar, None) for i in range(len(self._extras))]
        rename = dict(zip([field[0] for field in fields], [*self.names, *self._extras], strict=True))
        row: Any = msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=True, kw_only=True)
        decoders = [_decoder(row | list[row], lambda body: body)]
        for wrapper in WRAPPERS:
            field: Any = ("rows", row | list[row])
            shape = msgspec.defstruct("Body", [field], rename={"rows": wrapper}, forbid_unknown_fields=True)
            decoders.append(_decoder(shape, lambda body: body.rows))
        return decoders

    def _field(self, field: str, name: str) -> Any:
        kind = regular_type(name, self.spec)
        return (field, kind, None) if self.spec.features[name].missing else (field, kind)

    def from_json(self, body: bytes) -> Batch:
        """Read a JSON body of any accepted shape.

        Raises
        ------
        BadRequestError
            If it is not strict JSON in UTF-8.
        InvalidRowsError
            If a row cannot be scored; has one fault for each thing that is wrong.
        TooLargeError
            If there are more than ``max_rows`` rows.
        """
        for decode in self._decoders:
            try:
                rows = decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            return self._regular_batch(rows) or self._examined(body)
        return self._examined(body)

    def _examined(self, body: bytes) -> Batch:
        rows, pointers = self._shape(parse_json(body))
        return self.from_rows(rows, pointers)

    def _shape(self, body: object) -> tuple[list[object], Callable[[int], str]]:
        prefix = "#"
        if isinstance(body, dict):
            for wrapper in WRAPPERS:
                if wrapper not in self.spec.features and isinstance(body.get(wrapper), dict | list):
                    body, prefix = body[wrapper], f"#/{wrapper}"
                    break
        if isinstance(body, list):
            return body, lambda row: f"{prefix}/{row}"
        return [body], lambda row: prefix

    def from_csv(self, body: bytes) -> Batch:
        """Read CSV text with a header line. Raises as ``from_json`` does."""
        return self.from_rows(rows_of(body, self.spec, self.max_rows))

    def from_rows(
        self, rows: Sequence[object], pointer: Callable[[int], str] = lambda row: f"#/{row}"
    ) -> Batch:
        """Check rows that are already parsed; ``pointer`` gives the JSON pointer of a row for messages.

        Raises InvalidRowsError and TooLargeError as ``from_json`` does.
        """
        self._check_count(len(rows))
        remarks = [Remarks(pointer(position)) for position in range(len(rows))]
        examined = [self._examine(row, remark) for row, remark in zip(rows, remarks, strict=True)]
        faults = [fault for remark in remarks for fault in remark.faults]
        if faults:
            raise _invalid(faults, len(rows))
        values, extras = (list(side) for side in zip(*examined, strict=True))
        return self._batch(values, extras, [remark.warnings for remark in remarks])

    def _examine(self, row: object, remarks: Remarks) -> tuple[tuple[Value, ...], tuple[Scalar, ...]]:
        if not isinstance(row, dict):
            detail = f"{shown(row)} is not an object with fields."
            remarks.faults.append(Fault(remarks.pointer, "type", detail))
            return (), ()
        for name in islice(row.keys() - self._known, MAX_UNKNOWN):
            detail = f"{shown(name)} is not a field of {self.spec.name}; it was ignored."
            remarks.odd(str(name), "unknown_field", detail, is_refused=self.spec.strict)
        values = tuple(column.examine(row.get(column.name), remarks) for column in self._columns)
        if _is_empty(values) and not remarks.faults:
            remarks.faults.append(Fault(remarks.pointer, "empty", "Not one feature has a value."))
        return values, tuple(self._extra(name, row.get(name), remarks) for name in self._extras)

    def _extra(self, name: str, value: object, remarks: Remarks) -> Scalar:
        if value is None or isinstance(value, str | int | float):
            return value
        if name not in self.spec.ignored:
            remarks.fault(name, "type", f"{shown(value)} is not a text or number.")
        return None

    def _regular_batch(self, rows: list[msgspec.Struct]) -> Batch | None:
        self._check_count(len(rows))
        width = len(self.names)
        values: list[Any] = list(map(msgspec.structs.astuple, rows))
        extras: list[Any] = []
        if self._extras:
            extras = [row[width:] for row in values]
            values = [row[:width] for row in values]
        if not self._are_usual(values):
            return None
        try:
            return self._batch(values, extras, [NO_WARNINGS] * len(rows), must_be_within=True)
        except (ValueError, OverflowError):
            return None  # a date that is none

    def _are_usual(self, values: list[tuple[Value, ...]]) -> bool:
        """Tell whether no row is empty, no text means "not there", and numbers inside texts are in range."""
        if self._may_be_empty and any(map(_is_empty, values)):
            return False
        if any(column.is_missing(row[i]) for i, column in self._any_texts for row in values):
            return False
        return all(column.is_within(row[i]) for i, column in self._measures for row in values)

    def _batch(
        self,
        values: list[tuple[Value, ...]],
        extras: list[tuple[Scalar, ...]],
        warnings: Sequence[Sequence[RowWarning]],
        *,
        must_be_within: bool = False,
    ) -> Batch:
        numbers = self._tables.numbers(values)
        if must_be_within and not self._tables.dates_are_within(numbers):
            raise ValueError("a date is outside of its range")
        texts = self._tables.texts(values)
        ids, subjects = (
            self._kept(self.spec.id, values, extras),
            self._kept(self.spec.subject, values, extras),
        )
        return Batch(self.names, values, numbers, texts, warnings, ids, subjects)

    def _kept(
        self, name: str | None, values: list[tuple[Value, ...]], extras: list[tuple[Scalar, ...]]
    ) -> list[Scalar]:
        if name is None:
            return [None] * len(values)
        source, names = (values, self.names) if name in self.names else (extras, self._extras)
        return list(map(itemgetter(names.index(name)), source))

    def _check_count(self, count: int) -> None:
        if count == 0:
            raise InvalidRowsError("There are no rows.", [Fault("#", "empty", "At least one row is needed.")])
        if count > self.max_rows:
            raise TooLargeError(f"{count} rows are more than the {self.max_rows} that one request may have.")


class _Tables:
    """Turns logged values into the two arrays that the pipeline gets."""

    def __init__(self, spec: Spec) -> None:
        names = tuple(spec.features)
        self._n_numbers, self._n_texts = len(spec.numbers), len(spec.texts)
        self._pick_numbers = _picker([names.index(name) for name in spec.numbers])
        self._pick_texts = _picker([names.index(name) for name in spec.texts])
        self._may_lack_texts = any(spec.features[name].missing for name in spec.texts)
        self._dates = [
            (i, spec.features[n]) for i, n in enumerate(spec.numbers) if spec.features[n].type == "date"
        ]

    def numbers(self, values: list[tuple[Value, ...]]) -> NDArray[np.float64]:
        """Return float64 of shape (n_rows, n_numbers); raises ValueError for a date that is none."""
        rows: list[Any] = list(map(self._pick_numbers, values)) if self._n_texts else values
        if self._dates:
            rows = [self._with_days(row) for row in rows]
        return np.array(rows, dtype=np.float64).reshape(len(values), self._n_numbers)

    def _with_days(self, row: Sequence[Value]) -> list[Value]:
        changed = list(row)
        for position, feature in self._dates:
            changed[position] = number(row[position], feature)
        return changed

    def dates_are_within(self, numbers: NDArray[np.float64]) -> bool:
        """Tell whether all dates lie in their ranges; other columns are checked while they are decoded."""
        for position, feature in self._dates:
            low = -np.inf if feature.min is None else feature.min
            high = np.inf if feature.max is None else feature.max
            if ((numbers[:, position] < low) | (numbers[:, position] > high)).any():
                return False
        return True

    def texts(self, values: list[tuple[Value, ...]]) -> NDArray[np.object_]:
        """Return object of shape (n_rows, n_texts); missing is the empty text."""
        if not self._n_texts:
            return np.empty((len(values), 0), dtype=object)
        rows = list(map(self._pick_texts, values))
        table = np.array(rows, dtype=object).reshape(len(values), self._n_texts)
        if self._may_lack_texts:
            table[table == None] = ""  # noqa: E711  elementwise
        return table


def _is_empty(values: Sequence[Value]) -> bool:
    return all(value is None for value in values)


def _picker(positions: list[int]) -> Callable[[Sequence[Value]], Any]:
    if not positions:
        return lambda row: ()
    return itemgetter(*positions)


def _decoder(shape: Any, rows_of: Callable[[Any], Any]) -> Callable[[bytes], list[msgspec.Struct]]:
    decode = msgspec.json.Decoder(shape).decode

    def rows(body: bytes) -> list[msgspec.Struct]:
        found = rows_of(decode(body))
        return found if isinstance(found, list) else [found]

    return rows


def parse_json(body: bytes) -> object:
    """Parse strict JSON. Raises BadRequestError that says where it went wrong."""
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise BadRequestError("The body is nested too deeply.") from None
    except msgspec.ValidationError:
        return _parse_huge_numbers(body)
    except msgspec.DecodeError as error:
        raise BadRequestError(f"The body is not JSON: {error}.") from None
    except UnicodeDecodeError:
        raise BadRequestError("The body is not UTF-8.") from None


def _parse_huge_numbers(body: bytes) -> object:
    """Parse JSON with numbers beyond a double; they become infinite, so the fault is found where it stands.

    The faults behind such a number are this parser's to find.
    """
    try:
        text = body.decode()
        found = json.loads(text, parse_int=_integer, parse_constant=_refuse_constant)
        json.dumps(found, ensure_ascii=False).encode()  # an escaped half of a character is no text
    except RecursionError:
        raise BadRequestError("The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise BadRequestError("The body is not UTF-8.") from None
    except UnicodeEncodeError:
        raise BadRequestError("The body is not JSON: an escape stands for half of a character.") from None
    except ValueError as error:
        raise BadRequestError(f"The body is not JSON: {error}.") from None
    return found


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < MAX_DIGITS else math.inf


def _refuse_constant(name: str) -> object:
    raise BadRequestError(f"The body is not JSON: {name} is no number.")


def _invalid(faults: Sequence[Fault], n_rows: int) -> InvalidRowsError:
    rows = {fault.pointer.rsplit("/", 1)[0] for fault in faults}
    more = "" if len(faults) <= MAX_FAULTS else f" The first {MAX_FAULTS} are listed."
    detail = f"{len(faults)} fault{'s' * (len(faults) > 1)} in {len(rows)} of {n_rows} rows.{more}"
    return InvalidRowsError(detail, faults[:MAX_FAULTS])


def missing_columns(spec: Spec, columns: Iterable[str]) -> list[str]:
    """Return the features that are neither in ``columns`` nor allowed to be missing."""
    present = set(columns)
    return [name for name, feature in spec.features.items() if name not in present and not feature.missing]
