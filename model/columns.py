"""One input column: what a value must be, what is merely odd about it, and how it reaches the pipeline.

Nothing here raises for a bad value: faults and warnings are collected, so an answer can name all of them.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from model import written
from model.spec import Feature, Kind, Spec
from utils.errors import Fault

EPOCH = date(1970, 1, 1)
MAX_TEXT = 10_000
# The largest integer up to which float64 has every integer.
MAX_EXACT = 2**53
# Longer integers are no category; Python takes long to write them.
MAX_BITS = 1_000

TRUE_TEXTS = frozenset({"true", "yes", "t", "y", "1", "1.0"})
FALSE_TEXTS = frozenset({"false", "no", "f", "n", "0", "0.0"})

Value = bool | int | float | str | None


class RowWarning(msgspec.Struct, frozen=True, gc=False):
    """Something odd about a row that was answered all the same."""

    code: str
    feature: str
    detail: str


class Unusable(Exception):
    """A value that this column cannot take; ``code`` and ``detail`` become a Fault."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Remarks:
    """What was found wrong (``faults``) and odd (``warnings``) about one row at ``pointer``."""

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer
        self.faults: list[Fault] = []
        self.warnings: list[RowWarning] = []

    def fault(self, name: str, code: str, detail: str) -> None:
        """Remember a fault at one field of the row."""
        self.faults.append(Fault(f"{self.pointer}/{escape(name)}", code, detail))

    def odd(self, name: str, code: str, detail: str, *, is_refused: bool) -> None:
        """Remember an oddity: a fault where the spec refuses such values, else a warning."""
        if is_refused:
            self.fault(name, code, detail)
        else:
            self.warnings.append(RowWarning(code, name, detail))


def escape(name: str) -> str:
    """Return a field name as a token of a JSON pointer (RFC 6901, section 3).

    >>> escape("km/l ~ 1")
    'km~1l ~0 1'
    """
    return name.replace("~", "~0").replace("/", "~1")


class Column:
    """Checks values of one feature; built once from the spec."""

    def __init__(self, name: str, spec: Spec) -> None:
        self.name = name
        self.feature = spec.features[name]
        self._spec = spec
        self._read = READERS[self.feature.type]
        self._categories = frozenset(self.feature.categories or ())
        self._by_meaning = _by_meaning(self.feature.categories or ())
        self._missing = frozenset(spec.data.missing_values)
        self.pattern = None if self.feature.pattern is None else re.compile(self.feature.pattern)

    def examine(self, value: object, remarks: Remarks) -> Value:
        """Return the value as it is logged; what is wrong or odd about it is added to ``remarks``."""
        if value is None or self.is_missing(value):
            if not self.feature.missing:
                remarks.fault(self.name, "missing", f"{self.name!r} is required: {describe(self.feature)}.")
            return None
        try:
            read = self._read(value, self.feature)
        except Unusable as problem:
            remarks.fault(self.name, problem.code, problem.detail)
            return None
        read = self._as_category(read)
        self._look_for_oddities(read, remarks)
        return read

    def _as_category(self, value: Value) -> Value:
        """Return the category that a text means that is none: 3.0, "3.0" and "03" where training had "3"."""
        if not self._categories or not isinstance(value, str) or value in self._categories:
            return value
        return self._by_meaning.get(_meaning(value), value)

    def _look_for_oddities(self, value: Value, remarks: Remarks) -> None:
        is_refused = self._spec.unseen == "refuse"
        if isinstance(value, str) and self.pattern is not None:
            if not self.pattern.fullmatch(value):
                detail = (
                    f"{shown(value)} has another form than {self.feature.example or self.pattern.pattern}."
                )
                remarks.odd(self.name, "unknown_form", detail, is_refused=is_refused)
        elif self._categories and value not in self._categories:
            detail = f"{shown(value)} is not a category seen in training."
            remarks.odd(self.name, "unseen_category", detail, is_refused=is_refused)
        if not self.is_within(value):
            detail = f"{shown(value)} is outside of {range_text(self.feature)}."
            remarks.odd(self.name, "out_of_range", detail, is_refused=self._spec.out_of_range == "refuse")

    def is_missing(self, value: object) -> bool:
        """Tell whether a text stands for "not there", as in the table that was trained on."""
        return isinstance(value, str) and value in self._missing

    @property
    def takes_any_text(self) -> bool:
        """Whether decoding alone cannot tell a text that stands for "not there"."""
        return self.feature.type == "category" and not self._categories and self.pattern is None

    @property
    def has_measure(self) -> bool:
        """Whether its texts hold a number."""
        return self.pattern is not None and self.pattern.groups > 0

    def is_within(self, value: Value) -> bool:
        """Tell whether a value as logged lies in the plausible range; what is no number always does."""
        return not is_outside(self.measured(value), self.feature)

    def measured(self, value: Value) -> float:
        """Return what a range is about: the number, the day, or the number inside a text; else NaN."""
        if self.feature.type != "category":
            return number(value, self.feature)
        return number_inside(value, self.pattern)


def _by_meaning(categories: Sequence[str]) -> dict[float | str, str]:
    """Return the categories that stand for a number or a truth value by that; none that share it."""
    meanings = [_meaning(text) for text in categories]
    counts = Counter(meanings)
    return {m: text for m, text in zip(meanings, categories, strict=True) if counts[m] == 1}


def _meaning(text: str) -> float | str:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if math.isfinite(found) and "_" not in text:
        return found
    lower = text.strip().lower()
    return lower if lower in ("true", "false") else text


def number_inside(value: Value, pattern: "re.Pattern[str] | None") -> float:
    """Return the number that a pattern's first group finds in a text; NaN where there is none.

    >>> number_inside("1,248 CC", re.compile(r"([\\d,]+) CC"))
    1248.0
    """
    if not isinstance(value, str) or pattern is None or not pattern.groups:
        return math.nan
    found = pattern.fullmatch(value)
    try:
        return float((found.group(1) or "").replace(",", "")) if found else math.nan
    except ValueError:
        return math.nan


def number(value: Value, feature: Feature) -> float:
    """Return a logged value as the pipeline's float64; missing is NaN, a date is days since 1970-01-01."""
    if value is None:
        return math.nan
    return days(value, feature.format) if isinstance(value, str) else float(value)


def is_outside(value: float, feature: Feature) -> bool:
    """Tell whether a number lies outside of the feature's plausible range; its ends and NaN do not."""
    low = -math.inf if feature.min is None else feature.min
    high = math.inf if feature.max is None else feature.max
    return value < low or value > high


def days(text: str, form: str | None) -> float:
    """Return a date as days since 1970-01-01; ``form`` is a strptime format, ISO 8601 where it is None.

    Of a year or a month alone (2019, 2019-06) it is the first day.

    Raises
    ------
    ValueError
        If the text is no such date.
    """
    text = text if form else _whole_day(text)
    moment = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007  a day
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - datetime(1970, 1, 1)) / timedelta(days=1)  # noqa: DTZ001  both are UTC


def _whole_day(text: str) -> str:
    if not text.isascii() or not text[:4].isdigit():
        return text
    is_month = len(text) == len("2019-06") and text[4] == "-"
    return f"{text}-01" if is_month else f"{text}-01-01" if len(text) == len("2019") else text


def _as_written(value: object, feature: Feature) -> object:
    """Return the number that a text stands for; what is none stays as it is."""
    if feature.written is None or not isinstance(value, str):
        return value
    found = written.read(value, feature.written)
    return value if found is None else found


def _nor_written(feature: Feature) -> str:
    return f", nor written like {_sample(feature)}" if feature.written else ""


def _sample(feature: Feature) -> str:
    return written.sample(feature.written, is_whole=feature.type == "integer") if feature.written else ""


def _read_number(value: object, feature: Feature) -> Value:
    value = _as_written(value, feature)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("type", f"{shown(value)} is not a number{_nor_written(feature)}.")
    try:
        is_finite = math.isfinite(float(value))
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise Unusable("not_finite", f"{shown(value)} is not a finite number.")
    return value


def _read_integer(value: object, feature: Feature) -> Value:
    value = _as_written(value, feature)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise Unusable("type", f"{shown(value)} is not an integer{_nor_written(feature)}.")
    if abs(value) > MAX_EXACT:
        raise Unusable("too_large", f"{shown(value)} is larger than 2**53.")
    return int(value)


def _read_category(value: object, feature: Feature) -> Value:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() <= MAX_BITS:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        is_whole = abs(value) <= MAX_EXACT and value.is_integer()
        return str(int(value)) if is_whole else str(value)
    if not isinstance(value, str):
        raise Unusable("type", f"{shown(value)} is not text.")
    if len(value) > MAX_TEXT:
        raise Unusable("too_long", f"{len(value)} characters are more than {MAX_TEXT}.")
    return value


def _read_boolean(value: object, feature: Feature) -> Value:
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    truth = _truth(value) if isinstance(value, str) else None
    if truth is not None:
        return truth
    raise Unusable("type", f"{shown(value)} is not true or false.")


def _read_date(value: object, feature: Feature) -> Value:
    if not isinstance(value, str):
        raise Unusable("type", f"{shown(value)} is not a date written as text.")
    try:
        days(value, feature.format)
    except (ValueError, OverflowError):
        form = feature.format or "YYYY-MM-DD"
        raise Unusable("type", f"{shown(value)} is not a date of the form {form}.") from None
    return value


READERS: dict[Kind, Callable[[object, Feature], Value]] = {
    "number": _read_number,
    "integer": _read_integer,
    "category": _read_category,
    "boolean": _read_boolean,
    "date": _read_date,
}


def from_text(text: str, feature: Feature, missing_values: Sequence[str]) -> object:
    """Return a CSV cell as the value that JSON would have carried; what cannot be read stays text."""
    if text in missing_values:
        return None
    if feature.type in ("category", "date"):
        return text
    if feature.type == "boolean":
        return {True: True, False: False}.get(_truth(text), text)  # type: ignore[arg-type]
    if feature.written is not None:
        return _as_written(text, feature)
    try:
        return int(text) if text.lstrip("+-").isdecimal() and len(text) < 400 else float(text)
    except ValueError:
        return text


def _truth(text: str) -> bool | None:
    lower = text.strip().lower()
    return lower in TRUE_TEXTS if lower in TRUE_TEXTS | FALSE_TEXTS else None


def describe(feature: Feature) -> str:
    """Say in words what a value must be.

    >>> describe(Feature(type="number", min=0, max=250, unit="bpm"))
    'a number from 0 to 250 bpm'
    """
    article = "an" if feature.type == "integer" else "a"
    words = f"{article} {feature.type}"
    if feature.type == "category" and feature.categories:
        return f"{words}, one of {', '.join(feature.categories[:12])}"
    if feature.pattern is not None:
        return f"a text of the form {feature.example or feature.pattern}"
    if feature.min is not None or feature.max is not None:
        words += f" {range_text(feature)}" + (f" {feature.unit}" if feature.unit else "")
    return f"{words}, or a text such as {_sample(feature)}" if feature.written else words


def range_text(feature: Feature) -> str:
    """Say a feature's plausible range, such as ``from 0 to 250``."""
    ends = ((word, end) for word, end in (("from", feature.min), ("to", feature.max)) if end is not None)
    return " ".join(f"{word} {_end_text(end, feature)}" for word, end in ends)


def _end_text(end: float, feature: Feature) -> str:
    if feature.type == "date":
        return (EPOCH + timedelta(days=end)).isoformat()
    return f"{end:,.0f}".replace(",", "") if end == end // 1 and abs(end) < 1e15 else f"{end:g}"


def shown(value: object) -> str:
    """Return a value for a message: short, one line."""
    text = repr(value) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= 60 else f"{text[:57]}…"


def regular_type(name: str, spec: Spec) -> Any:
    """Return the msgspec type of values about which there is nothing to remark.

    A row whose values all have these types needs no second look; ``Column.examine`` decides all others, so
    this type may be narrower than what is accepted, never wider.
    """
    feature = spec.features[name]
    kind: Any = REGULAR[feature.type](feature)
    return kind | None if feature.missing else kind


def _regular_number(feature: Feature) -> Any:
    return Annotated[float, Meta(ge=feature.min, le=feature.max)]


def _regular_integer(feature: Feature) -> Any:
    low = -MAX_EXACT if feature.min is None else max(math.ceil(feature.min), -MAX_EXACT)
    high = MAX_EXACT if feature.max is None else min(math.floor(feature.max), MAX_EXACT)
    return Annotated[int, Meta(ge=low, le=high)]


def _regular_category(feature: Feature) -> Any:
    if feature.categories:
        return Literal[feature.categories]
    if feature.pattern is not None:
        return Annotated[str, Meta(max_length=MAX_TEXT, pattern=rf"\A(?:{feature.pattern})\Z")]
    return Annotated[str, Meta(max_length=MAX_TEXT)]


REGULAR: dict[Kind, Callable[[Feature], Any]] = {
    "number": _regular_number,
    "integer": _regular_integer,
    "category": _regular_category,
    "boolean": lambda feature: bool,
    "date": lambda feature: str,
}
