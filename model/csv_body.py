"""CSV in a request's body: the table that was trained on, as it is, or one with commas and points.

Column names are those that training read: of two equal ones the second gets ``.1``, one without a name is
called after its place, as pandas calls them.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import msgspec

from model.columns import from_text
from model.spec import Data, Spec
from utils.errors import BadRequestError, TooLargeError


def rows_of(body: bytes, spec: Spec, max_rows: int) -> list[dict[str, object]]:
    """Return the rows of CSV text with a header line, numbers and truth values read.

    The separator is a comma, or that of the training table where the header has that; then numbers may have
    its decimal comma, too. Raises BadRequestError if it is not CSV in UTF-8, TooLargeError if it has more
    than ``max_rows``.
    """
    try:
        text = body.decode("utf-8-sig")
        names, data = header_of(text, spec)
        lines = csv.reader(io.StringIO(text), delimiter=data.separator)
        next(filter(None, lines), None)
        # One more than may come is enough to refuse the rest unread.
        rows = [row_of(names, cells, spec, data) for cells in islice(lines, max_rows + 1) if cells]
    except UnicodeDecodeError:
        raise BadRequestError("The body is not UTF-8.") from None
    except csv.Error as error:
        raise BadRequestError(f"The body is not CSV: {error}.") from None
    if len(rows) > max_rows:
        raise TooLargeError(f"There are more rows than the {max_rows} that one request may have.")
    return rows


def header_of(text: str, spec: Spec) -> tuple[list[str], Data]:
    """Return the names of the columns, and how the text is written: the spec's ``data`` or with commas.

    The separator is the one that cuts the header into more names that are known. Raises csv.Error.
    """
    known = {*spec.features, spec.target.name}
    with_commas = msgspec.structs.replace(spec.data, separator=",", decimal=".")
    found = []
    for data in (spec.data, with_commas) if spec.data.separator != "," else (spec.data,):
        lines = csv.reader(io.StringIO(text), delimiter=data.separator)
        names = _unique(next(filter(None, lines), []))  # empty lines are no rows
        found.append((len(known.intersection(names)), names, data))
    return max(found[::-1], key=lambda one: one[0])[1:]


def _unique(names: list[str]) -> list[str]:
    if len(set(names)) == len(names) and "" not in names:
        return names
    found: list[str] = []
    seen: Counter[str] = Counter()
    for place, given in enumerate(names):
        name = given or f"Unnamed: {place}"
        found.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[given] += 1
    return found


def row_of(names: Sequence[str], cells: list[str], spec: Spec, data: Data) -> dict[str, object]:
    """Return one row, numbers and truth values read."""
    row = {name: _value(text, name, spec, data) for name, text in zip(names, cells, strict=False)}
    # A row that is too short lacks values, one that is too long has some of no name.
    return row if len(cells) <= len(names) else {**row, "": cells[len(names) :]}


def _value(text: str, name: str, spec: Spec, data: Data) -> object:
    if data.decimal != "." and is_number(spec, name):
        text = text.replace(data.decimal, ".")
    feature = spec.features.get(name)
    return text if feature is None else from_text(text, feature, spec.data.missing_values)


def is_number(spec: Spec, name: str) -> bool:
    """Tell whether a column holds plain numbers: a feature, or the target of a regression."""
    if name == spec.target.name:
        return spec.task == "regression" and spec.target.written is None
    return name in spec.features and spec.features[name].is_plain
