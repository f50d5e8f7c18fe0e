"""Numbers that are written with more than digits: units, currencies, thousands, decimal commas, brackets.

Finds one way of writing that reads all texts of a column, and says where it could be read otherwise.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from model import written
from model.spec import Written

MOST_UNITS = 3
# Which marks may part digits, the most usual first; each with its decimal mark.
_POINT = ((".", None), (".", ","), (".", " "), (".", "'"))
_COMMA = ((",", None), (",", "."), (",", " "), (",", "'"))
# Units that stand for a factor; different ones in a column are different sizes.
_FACTORS = frozenset({"k", "m", "mn", "mio", "mm", "b", "bn", "t", "tn", "lakh", "lac", "crore", "cr"})
_CURRENCIES = re.compile(r"[A-Z]{0,3}[$€£¥₹₩₽₺₴₪₫₱฿]|USD|EUR|GBP|JPY|CNY|INR|CHF|BRL|MXN|Rs\.?|kr\.?|zł|Kč")

_BODY = "[.,]?\\d(?:[\\d.,'\u2019 \t\u00a0\u202f]*\\d)?"
_AMOUNT = re.compile(
    rf"\s*(?P<open>\()?\s*(?:[-+\u2212]\s*)?(?P<before>[^\d\s+\-\u2212.,()][^\d\s+\-\u2212(]*)?\s*(?:[-+\u2212]\s*)?"
    rf"(?P<body>{_BODY})\s*(?P<after>[^\d\s.,()'\u2019][^\s()]*)?\s*\)?\s*",
    re.ASCII,
)
_CODE = re.compile(r"0\d+")


@dataclass(frozen=True)
class Amounts:
    """How texts write numbers, and the number of each text that is one."""

    written: Written
    values: dict[str, float]

    @property
    def units(self) -> tuple[str, ...]:
        """What stands before or after the numbers, however it is written."""
        return _distinct([*self.written.before, *self.written.after])

    @property
    def is_sure(self) -> bool:
        """Whether nothing but a number is meant: no unit, a percent sign, or a currency."""
        return all(unit == "%" or _CURRENCIES.fullmatch(unit) for unit in self.units)

    @property
    def has_mixed_factors(self) -> bool:
        """Whether numbers have different factors, such as 950k beside 1.2M, so that digits alone mislead."""
        factors = {unit.casefold() for unit in self.written.after} & _FACTORS
        return len(factors) > 1 or (len(factors) == 1 and self._has_bare)

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """What a person should know of it: codes with sentences."""
        text, value = max(self.values.items(), key=lambda item: len(item[0]))
        if self.has_mixed_factors:
            words = f"Factors such as those of {' and '.join(self.units)} are not read; write plain numbers."
            return (("written", words),)
        first = ("written", f"Texts such as {text!r} are read as numbers, that one as {value:.15g}.")
        return (first, *self._units_told(), *self._brackets_told(), *self._marks_told())

    @property
    def _has_bare(self) -> bool:
        """Whether a number has neither a unit before nor after it."""
        bare = Written((), (), self.written.decimal, self.written.thousands)
        return any(written.read(text, bare) is not None for text in self.values)

    def _units_told(self) -> Iterable[tuple[str, str]]:
        units = [*self.units, *(["no unit"] if self.units and self._has_bare else [])]
        if len(units) > 1:
            told = " or ".join(units)
            yield "units", f"Numbers with {told} are read as if of one unit; convert them if they are not."

    def _brackets_told(self) -> Iterable[tuple[str, str]]:
        if any(text.strip().startswith("(") for text in self.values):
            yield "brackets", "Numbers in brackets are taken for negative."

    def _marks_told(self) -> Iterable[tuple[str, str]]:
        """Tell of other marks with which all texts could be read as well, at least one as another number."""
        for decimal, thousands in (*_POINT, *_COMMA):
            form = msgspec.structs.replace(self.written, decimal=decimal, thousands=thousands)
            others = {text: written.read(text, form) for text in self.values}
            if None not in others.values() and others != self.values:
                text = max(self.values, key=len)
                told = f"{text!r} was read as {self.values[text]:.15g}; it could be {others[text]:.15g}, too."
                yield "number_form", told
                return


def amounts_of(texts: Sequence[str], decimal: str = ".") -> Amounts | None:
    """Return how these texts write numbers.

    Parameters
    ----------
    texts : sequence of str
        Distinct texts; those that are no numbers are left out of ``values``.
    decimal : {".", ","}
        What plain numbers of the file have.

    Returns
    -------
    Amounts or None
        None where no way of writing reads nearly all of them, or a number is a code such as 007.
    """
    found = {text: match for text in texts if (match := _AMOUNT.fullmatch(text))}
    bodies = [match["body"] for match in found.values()]
    if not found or any(map(_CODE.fullmatch, bodies)):
        return None
    sides = [[match[side] for match in found.values() if match[side]] for side in ("before", "after")]
    before, after = map(_distinct, sides)
    is_named = not all(map(_CURRENCIES.fullmatch, before))  # "Room 7" is no amount
    if is_named or len(_distinct([*before, *after])) > MOST_UNITS:
        return None
    forms = [Written(before, after, point, mark) for point, mark in _marks(decimal)]  # type: ignore[arg-type]
    best = max(forms, key=lambda form: sum(written.read(text, form) is not None for text in found))
    values = {text: value for text in found if (value := written.read(text, best)) is not None}
    return Amounts(best, values) if values else None


def _marks(decimal: str) -> Iterable[tuple[str, str | None]]:
    return (*_COMMA, *_POINT) if decimal == "," else (*_POINT, *_COMMA)


def _distinct(units: Iterable[str]) -> tuple[str, ...]:
    """Return units, each once, whatever its letters' size."""
    return tuple({unit.casefold(): unit for unit in reversed(list(units))}.values())[::-1]
