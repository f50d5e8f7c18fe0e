"""Numbers as people write them, read as numbers: "$1,234.50", "1.234,50 €", "(45)", "23.4 kmpl".

A spec says by ``Written`` how the numbers of a column are written. Files, requests and labels are then read
alike; a plain number stays what it is. Light: for the web process, too.
"""

import re
from functools import lru_cache

from model.spec import Written

SPACE = "[ \t\u00a0\u202f]"
SIGN = "[-+\u2212]"
_THOUSANDS = {" ": SPACE, "'": "['\u2019]"}


def read(text: str, written: Written) -> float | None:
    """Return the number that a text stands for, None if it is not written so.

    A minus may stand before or behind what comes before the number; brackets stand for one, too.

    >>> read("-$1,234.50", Written(before=("$",), thousands=","))
    -1234.5
    >>> read("1.234,50 €", Written(after=("€",), decimal=",", thousands="."))
    1234.5
    """
    found = _form(written).fullmatch(text)
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    digits = found["whole"] or ""
    for mark in (*" \t\u00a0\u202f'\u2019", ",", "."):
        digits = digits.replace(mark, "")
    part = found["part"]
    size = float(f"{digits or 0}.{part or 0}{found['power'] or ''}")
    signs = (found["sign"] or "") + (found["inner"] or "") + ("-" if found["open"] else "")
    is_negative = (signs.count("-") + signs.count("\u2212")) % 2 == 1
    return -size if is_negative and size else size


def sample(written: Written, *, is_whole: bool = False) -> str:
    """Return a number as it is written.

    >>> sample(Written(before=("$",), thousands=","))
    '$1,234.50'
    """
    before = written.before[0] if written.before else ""
    after = written.after[0] if written.after else ""
    glue = " " if after and after != "%" else ""
    part = "" if is_whole else f"{written.decimal}50"
    return f"{before}1{written.thousands or ''}234{part}{glue}{after}"


@lru_cache(maxsize=256)
def _form(written: Written) -> "re.Pattern[str]":
    before, after = (_any_of(affixes) for affixes in (written.before, written.after))
    sign = f"(?:({SIGN}){SPACE}*)?"
    return re.compile(
        rf"{SPACE}*(?P<open>\()?{SPACE}*{_named(sign, 'sign')}{before}{SPACE}*{_named(sign, 'inner')}"
        rf"{_digits(written)}{SPACE}*{after}{SPACE}*(?P<close>\))?{SPACE}*",
        re.ASCII | re.IGNORECASE,
    )


def _named(group: str, name: str) -> str:
    return group.replace(f"({SIGN})", f"(?P<{name}>{SIGN})")


def _any_of(affixes: tuple[str, ...]) -> str:
    longest_first = sorted(affixes, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, longest_first))})?" if affixes else ""


def _digits(written: Written) -> str:
    """Groups of three digits (of two or three before the last, as in India), or digits alone."""
    whole = r"\d+"
    if written.thousands is not None:
        mark = _THOUSANDS.get(written.thousands, re.escape(written.thousands))
        whole = rf"(?:\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}|\d+)"
    decimal = re.escape(written.decimal)
    return rf"(?=\.?,?\d)(?P<whole>{whole})?(?:{decimal}(?P<part>\d+))?(?P<power>e[-+]?\d+)?"
