"""Columns that name rows: running numbers, keys, names. They teach nothing, or the order of the table."""

import re
from collections.abc import Mapping

import pandas as pd

from model.drafting.kinds import FEW, UNIQUE, Kind

_WORDS = "id|ids|uuid|guid|key|index|idx|nr|no|number|num|row|rownum|instant|serial|record|code|unnamed: 0"
_NUMBERED = re.compile(rf"(^|[^a-z])({_WORDS})($|[^a-z])")
_KEY = re.compile(r"(^|[^a-z])(id|ids|uuid|guid|key)($|[^a-z])")
_CAMEL = re.compile(r"[a-z](Id|ID|Key|No|Nr)$")
MIN_ROWS = 20


def identifiers(cells: pd.DataFrame, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Return the columns that name rows, with a sentence why.

    A column of distinct whole numbers does if they run up or down by small steps, or its name says so; a text
    does if nearly every row has one of its own, or there are many and its name says so.
    """
    found = {name: _why(name, cells[name].dropna(), kind) for name, kind in kinds.items()}
    return {name: why for name, why in found.items() if why}


def _why(name: str, column: "pd.Series[str]", kind: Kind) -> str:
    if len(column) < MIN_ROWS:
        return ""
    if kind.feature is None:
        return kind.words if kind.is_unique else ""
    if kind.feature.type == "category" and column.nunique() > FEW:
        return "many texts, with the name of a key" if _is_text_key(name) else ""
    if kind.feature.type != "integer" or column.nunique() < UNIQUE * len(column):
        return ""
    if _runs(pd.to_numeric(column, errors="coerce")):
        return "numbers of the rows, one after the other"
    return "whole numbers, hardly one twice, with the name of a key" if is_key(name) else ""


def _runs(numbers: "pd.Series[float]") -> bool:
    """Tell whether numbers run up or down all the way, with small steps."""
    steps = numbers.diff().dropna()
    is_one_way = bool((steps > 0).all() or (steps < 0).all())
    return is_one_way and float(steps.abs().median()) <= 2


def is_key(name: str) -> bool:
    """Tell whether a column has the name of a key.

    >>> [is_key(name) for name in ("id", "customer_id", "PassengerId", "idea", "No", "Unnamed: 0")]
    [True, True, True, False, True, True]
    """
    return bool(_NUMBERED.search(name.lower()) or _CAMEL.search(name))


def _is_text_key(name: str) -> bool:
    return bool(_KEY.search(name.lower()) or _CAMEL.search(name))
