"""What one column of texts holds: truth values, numbers, dates, measures, categories or free text."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.columns import FALSE_TEXTS, MAX_EXACT, TRUE_TEXTS, days
from model.drafting.amounts import Amounts, amounts_of
from model.drafting.doubts import Doubt
from model.resolving import MAX_CATEGORIES, MAX_SHARE_DISTINCT
from model.spec import Feature

# Texts that some write where a value is not there, in small letters; the first kind is never a value.
NEVER_VALUES = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "null", "<na>"})
MAYBE_VALUES = NEVER_VALUES | {"none", "-", "--", ".", "unknown", "missing", "nil", "inf", "-inf", "infinity"}
# So few other texts among numbers, in so few cells, are gaps with a name; more of them are categories.
MOST_JUNK, MOST_JUNK_SHARE = 5, 0.02

FEW = 20
MOST_SHOWN = 50
MOST_DIGITS = 12
UNIQUE = 0.95  # of the texts of a column, from which on they are names of rows

DATE_FORMATS = (
    "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%m/%d/%y", "%d/%m/%y",
    "%d.%m.%y", "%b %d %Y", "%b %d, %Y", "%B %d, %Y", "%B %d %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y",
    "%d-%b-%y", "%Y-%m",
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
)  # fmt: skip

Floats = NDArray[np.float64]

_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*", re.ASCII)
_LEADING_ZERO = re.compile(r"\s*0\d+\s*", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """What a column was taken for.

    ``feature`` is None where it cannot be one, and ``words`` says why. ``gaps`` are texts in it that stand
    for "not there", ``is_unique`` tells that nearly every row has a text of its own.
    """

    feature: Feature | None
    words: str = ""
    is_unique: bool = False
    gaps: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True)
class _Texts:
    """The distinct texts of a column with how often each occurs, most frequent first."""

    name: str
    counts: "pd.Series[int]"
    n_rows: int
    decimal: str
    labels: frozenset[str]

    @property
    def distinct(self) -> list[str]:
        return list(self.counts.index)

    @property
    def n_values(self) -> int:
        return int(self.counts.sum())

    def doubt(self, code: str, detail: str) -> Doubt:
        return Doubt(code, self.name, detail)


def kind_of(
    name: str, column: "pd.Series[str]", decimal: str = ".", labels: frozenset[str] = frozenset()
) -> Kind:
    """Tell what a column holds.

    Parameters
    ----------
    column : Series of str
        Its cells, NaN where missing.
    decimal : str
        Decimal point of its numbers.
    labels : frozenset of str
        Texts that are classes of the target, and so can stand for a gap nowhere.
    """
    counts = column.dropna().value_counts()
    gaps = [text for text in counts.index if text.strip().lower() in NEVER_VALUES]
    texts = _Texts(name, counts.drop(gaps), len(column), decimal, labels)
    found = _constant(texts) if len(texts.counts) < 2 else _varying(texts)
    return replace(found, gaps=(*gaps, *found.gaps))


def _constant(texts: _Texts) -> Kind:
    return Kind(None, f"always {texts.distinct[0]!r}" if texts.distinct else "always empty")


def _varying(texts: _Texts) -> Kind:
    looks: tuple[Callable[[_Texts], Kind | None], ...] = (_truth, _number, _date, _amount)
    for look in looks:
        found = look(texts)
        if found is not None:
            return found
    return _text(texts)


def _junk(texts: _Texts, is_fine: Callable[[str], bool]) -> tuple[str, ...] | None:
    """Return the texts that are not fine if they can be taken for gaps, else None."""
    others = tuple(text for text in texts.distinct if not is_fine(text))
    if texts.labels.intersection(others) or any(map(_NUMBER.fullmatch, others)):
        return None  # gaps are gaps in every column, so neither a class nor a number can stand for one
    if all(text.strip().lower() in MAYBE_VALUES for text in others):
        return others
    share = int(texts.counts[list(others)].sum()) / texts.n_values
    return others if len(others) <= MOST_JUNK and share <= MOST_JUNK_SHARE else None


def _junk_doubts(texts: _Texts, junk: Sequence[str], what: str) -> tuple[Doubt, ...]:
    return tuple(texts.doubt(code, told) for code, told in _junk_told(junk, what))


def _junk_told(junk: Sequence[str], what: str) -> Iterable[tuple[str, str]]:
    if junk:
        shown = ", ".join(repr(text) for text in junk)
        yield "gaps", f"{shown} among {what}: taken for missing values."


# --- truth values and numbers --------------------------------------------------------------------------


def _truth(texts: _Texts) -> Kind | None:
    words = {text.strip().lower() for text in texts.distinct}
    is_truth = (
        words <= (TRUE_TEXTS | FALSE_TEXTS) and len(words & TRUE_TEXTS) == len(words & FALSE_TEXTS) == 1
    )
    is_number = all(_NUMBER.fullmatch(word) for word in words)
    return Kind(Feature(type="boolean")) if is_truth and not is_number else None


def _number(texts: _Texts) -> Kind | None:
    plain = {text: text.replace(texts.decimal, ".") for text in texts.distinct}
    junk = _junk(texts, lambda text: bool(_NUMBER.fullmatch(plain[text])))
    if junk is None:
        return None
    kept = [plain[text] for text in texts.distinct if text not in junk]
    numbers = np.array([float(text) for text in kept])
    is_code = any(map(_LEADING_ZERO.fullmatch, kept)) or bool((np.abs(numbers) >= MAX_EXACT).any())
    if len(np.unique(numbers)) < 2 or is_code or not np.isfinite(numbers).all():
        return None
    has_gaps = texts.n_values < texts.n_rows or bool(junk)
    kind = "integer" if _is_whole(kept, numbers, has_gaps) else "number"
    low, high = _ends(numbers, kind)
    feature = Feature(type=kind, min=low, max=high)  # type: ignore[arg-type]
    return Kind(feature, gaps=junk, doubts=_junk_doubts(texts, junk, "numbers"))


def _is_whole(
    kept: Sequence[str], numbers: "np.ndarray[tuple[int], np.dtype[np.float64]]", has_gaps: bool
) -> bool:
    """Whole numbers, as written; in a column with gaps some programs write 3 as 3.0."""
    is_written_so = not any("." in text or "e" in text.lower() for text in kept)
    return bool((numbers == np.floor(numbers)).all()) and (is_written_so or has_gaps)


def _ends(numbers: Floats, kind: str) -> tuple[float, float]:
    """Return the range of what was seen; of measured numbers rounded outwards to three digits or so."""
    low, high = float(numbers.min()), float(numbers.max())
    if kind == "integer" or not 0 < high - low < math.inf:
        return low, high
    digits = 2 - math.floor(math.log10(high - low))
    if abs(digits) > MOST_DIGITS:
        return low, high
    step = 10.0**-digits
    ends = round(math.floor(low / step) * step, digits), round(math.ceil(high / step) * step, digits)
    return min(low, ends[0]), max(high, ends[1])


# --- dates ---------------------------------------------------------------------------------------------


def _date(texts: _Texts) -> Kind | None:
    for form in (None, *DATE_FORMATS):
        if not _is_date(texts.distinct[0], form) and not _is_date(texts.distinct[-1], form):
            continue
        if form is None and all(len(text) <= len("2019-06") for text in texts.distinct):
            continue  # codes rather than years
        junk = _junk(texts, lambda text, form=form: _is_date(text, form))  # type: ignore[misc]
        if junk is not None and len(texts.distinct) - len(junk) > 1:
            return Kind(Feature(type="date", format=form), gaps=junk, doubts=_date_doubts(texts, form, junk))
    return None


def _is_date(text: str, form: str | None) -> bool:
    try:
        days(text, form)
    except (ValueError, OverflowError):
        return False
    return True


def _date_doubts(texts: _Texts, form: str | None, junk: Sequence[str]) -> tuple[Doubt, ...]:
    doubts = _junk_doubts(texts, junk, "dates")
    if form is None and any(len(text) <= len("2019-06") for text in texts.distinct if text not in junk):
        told = "Some dates are a month or a year only; the first day is taken."
        doubts = (*doubts, texts.doubt("date_part", told))
    other = None if form is None else form.replace("%m", "#").replace("%d", "%m").replace("#", "%d")
    if other == form or other not in DATE_FORMATS:
        return doubts
    if any(not _is_date(text, other) for text in texts.distinct if text not in junk):
        return doubts
    return (*doubts, texts.doubt("date_order", f"Dates could be {form} or {other}; the former was taken."))


# --- texts ---------------------------------------------------------------------------------------------


def _amount(texts: _Texts) -> Kind | None:
    """Take texts for numbers that are written with a unit, a currency, or marks between thousands."""
    found = amounts_of(texts.distinct, texts.decimal)
    if found is None or (len(texts.distinct) <= FEW and not found.is_sure):
        return None
    junk = _junk(texts, lambda text: text in found.values)
    numbers = np.array(list(found.values.values()))
    if junk is None or len(np.unique(numbers)) < 2 or bool((np.abs(numbers) >= MAX_EXACT).any()):
        return None
    doubts = tuple(texts.doubt(code, told) for code, told in (*found.told, *_junk_told(junk, "numbers")))
    if found.has_mixed_factors:
        other = _text(texts)
        return replace(other, doubts=(*doubts, *other.doubts))
    return Kind(_amount_feature(found, numbers), gaps=junk, doubts=doubts)


def _amount_feature(found: Amounts, numbers: Floats) -> Feature:
    is_whole = bool((numbers == np.floor(numbers)).all())
    kind = "integer" if is_whole and not found.units else "number"
    low, high = _ends(numbers, kind)
    unit = found.units[0] if len(found.units) == 1 else None
    return Feature(type=kind, min=low, max=high, unit=unit, written=found.written)  # type: ignore[arg-type]


def _text(texts: _Texts) -> Kind:
    n_distinct = len(texts.distinct)
    share = n_distinct / texts.n_values
    if n_distinct > FEW and share > UNIQUE:
        return Kind(None, "nearly every row has a text of its own", is_unique=True)
    if n_distinct > MAX_CATEGORIES or n_distinct > max(FEW, MAX_SHARE_DISTINCT * texts.n_values):
        detail = f"{n_distinct} different texts: each counts as the mean of the target where it occurred."
        return Kind(Feature(type="category", categories=()), doubts=(texts.doubt("many_texts", detail),))
    shown = tuple(sorted(texts.distinct)) if n_distinct <= MOST_SHOWN else None
    return Kind(Feature(type="category", categories=shown))
