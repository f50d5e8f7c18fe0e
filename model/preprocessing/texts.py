"""Transformers of texts: numbers with their units, torques, and the first words of a name.

They take columns of text (dtype object, NaN missing) and read each distinct text once. A graph reads plain
forms by itself; a text with digits in another form than those is left to the pipeline (see
``model.compiling``).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from model.preprocessing.transformers import column_names

if TYPE_CHECKING:  # compiling imports onnx, which training can do without
    from model.compiling.graph import Graph
    from model.compiling.tables import Table

Floats = NDArray[np.float64]
Words = NDArray[np.object_]
Numbers = tuple[float, ...]

_DOUBLE = 11  # onnx.TensorProto.DOUBLE
_NO_DIGITS = "[^0-9]*"

# A number, then a unit of one word or more: "5 m2" is one, "5 to 6" is not.
_QUANTITY = re.compile(r"\s*([-+]?[\d,]*\.?\d+)\s*([^\d\s]\S*(?:\s+[^\d\s]+)*)?\s*", re.ASCII)
_PLAIN_NUMBER = r"[0-9]{1,15}(\.[0-9]{1,15})?"
_PLAIN_UNIT = "[A-Za-z/%]+"
_GLUED = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?([A-Za-z/%]+)", re.ASCII)
MOST_GLUED = 5

_NM_PER_KGM = 9.80665
_MAX_KGM = 90.0
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_SPEED = re.compile(r"\d{3,5}", re.ASCII)
_AT = re.compile(r"@|at|/")
_TOLERANCE = re.compile(r"\+/-\d+", re.ASCII)
_PLAIN_TORQUE = r"[0-9]{1,4}(\.[0-9]{1,9})?Nm@ [0-9]{3,5}(-[0-9]{3,5})?rpm"


class TextTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Checks that are the same for all: columns of text in two dimensions."""

    def fit(self, X: Any, y: object = None) -> Self:
        """Remember names and number of the columns; nothing else is learnt."""
        self._checked(X, is_new=True)
        return self

    def _checked(self, X: Any, *, is_new: bool = False) -> Words:
        if not is_new:
            check_is_fitted(self, "n_features_in_")
        validate_data(self, X, reset=is_new, skip_check_array=True)
        return np.asarray(X, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.allow_nan = True
        return tags


class Quantity(OneToOneFeatureMixin, TextTransformer):  # type: ignore[misc]  # scikit-learn ships no types
    """The number in texts such as "23.4 kmpl" or "1,248 CC"; NaN where there is none.

    Parameters
    ----------
    units : mapping of str to float, optional
        Factor of each unit, in small letters; a text with another unit is missing, one without is taken as it
        is. By default any unit has the factor 1.
    """

    def __init__(self, units: Mapping[str, float] | None = None) -> None:
        self.units = units

    def fit(self, X: Any, y: object = None) -> Self:
        """Remember which units stand right behind their number, as in "50%", for the graph to read these."""
        found = (_GLUED.fullmatch(str(text)) for text in set(self._checked(X, is_new=True).ravel().tolist()))
        self.glued_ = sorted({match[1] for match in found if match})[:MOST_GLUED]
        return self

    def transform(self, X: Any) -> Floats:
        """Return numbers of the same shape as ``X``."""
        return np.hstack([_each(column, self._read, 1) for column in self._checked(X).T])

    def _read(self, text: str) -> Numbers:
        found = _QUANTITY.fullmatch(text)
        if found is None:
            return (math.nan,)
        unit = (found[2] or "").lower()
        factor = 1.0 if self.units is None or not unit else self.units.get(unit, math.nan)
        return (float(found[1].replace(",", "")) * factor,)

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Read plain numbers, alone or before a known unit."""
        texts = graph.texts(table)
        is_plain = graph.node("RegexFullMatch", texts, pattern=f"{_PLAIN_NUMBER}( {self._unit_pattern()})?")
        numbers = _number(graph, is_plain, _piece(graph, texts, " ", 0))
        for unit in self.glued_ if self.units is None else ():
            is_glued = graph.node("RegexFullMatch", texts, pattern=_PLAIN_NUMBER + re.escape(unit))
            glued = _number(graph, is_glued, _piece(graph, texts, unit, 0))
            numbers = graph.node("Where", is_glued, glued, numbers)
            is_plain = graph.node("Or", is_plain, is_glued)
        _doubt_others(graph, texts, is_plain)
        scaled = graph.node("Mul", numbers, self._factors(graph, texts))
        return graph.table(scaled, table.n_columns, may_miss=True)

    def _unit_pattern(self) -> str:
        if self.units is None:
            return _PLAIN_UNIT
        return f"(?i:{'|'.join(re.escape(unit) for unit in self.units)})"

    def _factors(self, graph: "Graph", texts: str) -> str:
        factors = graph.constant([[1.0]])
        for unit, factor in (self.units or {}).items():
            if factor != 1:
                is_here = graph.node("RegexFullMatch", texts, pattern=f".* (?i:{re.escape(unit)})")
                factors = graph.node("Where", is_here, graph.constant([[factor]]), factors)
        return factors


class Torque(TextTransformer):
    """Torque in Nm and the speed in revolutions a minute at which it is reached, as adverts of cars say it.

    Reads "190Nm@ 2000rpm", "22.4 kgm at 1750-2750rpm" (the upper end of a range), "11.5@ 4,500(kgm@ rpm)" and
    their kin; what is not said is NaN. 90 kgm or more are Nm under a wrong unit, as no car has that much.
    """

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn the texts of other than the plain form, which a graph looks up."""
        plain = re.compile(_PLAIN_TORQUE)
        self.words_ = [
            {
                text: read_torque(text)
                for text in pd.unique(column[~pd.isna(column)])
                if not plain.fullmatch(text)
            }
            for column in self._checked(X, is_new=True).T
        ]
        return self

    def transform(self, X: Any) -> Floats:
        """Return torque and speed of each column, shape (n_rows, 2 * n_columns)."""
        return np.hstack([_each(column, read_torque, 2) for column in self._checked(X).T])

    def get_feature_names_out(self, input_features: Iterable[str] | None = None) -> Words:
        """Return names such as ``torque_nm`` and ``torque_rpm``."""
        columns = column_names(self, input_features)
        return np.array([f"{column}_{unit}" for column in columns for unit in ("nm", "rpm")], dtype=object)

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Read the plain form, and look up the others of training."""
        columns = [self._column(graph, table.select([i, i]), words) for i, words in enumerate(self.words_)]
        joined = columns[0] if len(columns) == 1 else graph.node("Concat", *columns, axis=1)
        return graph.table(joined, 2 * table.n_columns, may_miss=True)

    def _column(self, graph: "Graph", twice: "Table", words: Mapping[str, Numbers]) -> str:
        texts = graph.texts(twice.select([0]))
        unknown = {"": math.nan}
        values = [unknown | {word: numbers[i] for word, numbers in words.items()} for i in (0, 1)]
        known = graph.lookup(twice, values, [math.inf, math.inf])
        is_plain = graph.node("RegexFullMatch", texts, pattern=_PLAIN_TORQUE)
        is_new = graph.node("IsInf", known)
        is_read = graph.node("Or", is_plain, graph.node("Not", is_new))
        _doubt_others(graph, texts, is_read)
        learnt = graph.node("Where", is_new, graph.constant([[math.nan]]), known)
        return graph.node("Where", is_plain, self._plain(graph, texts, is_plain), learnt)

    def _plain(self, graph: "Graph", texts: str, is_plain: str) -> str:
        force, speed = (_piece(graph, texts, "@ ", position) for position in (0, 1))
        speed = _piece(graph, speed, "rpm", 0)
        low, high = (_piece(graph, speed, "-", position) for position in (0, 1))
        high = graph.node("Where", _is_empty(graph, high), low, high)
        digits = graph.node("Concat", _piece(graph, force, "Nm", 0), high, axis=1)
        return _number(graph, is_plain, digits)


class FirstWords(OneToOneFeatureMixin, TextTransformer):  # type: ignore[misc]  # scikit-learn ships no types
    """The first words of texts, such as the make of a car or its make and model; missing where there is none.

    Parameters
    ----------
    n_words : int, default=1
        How many, of those between blanks.
    """

    def __init__(self, n_words: int = 1) -> None:
        self.n_words = n_words

    def transform(self, X: Any) -> Words:
        """Return texts of the same shape as ``X``."""
        columns = self._checked(X).T
        return np.array([[self._first(text) for text in column] for column in columns], dtype=object).T

    def _first(self, text: Any) -> Any:
        if not isinstance(text, str):
            return np.nan
        return " ".join([word for word in text.split(" ") if word][: self.n_words]) or np.nan

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Split at blanks and put the first words together again."""
        texts = graph.texts(table)
        pieces, _ = graph.pair("StringSplit", texts, maxsplit=self.n_words)
        words = self._padded(graph, texts, pieces)
        joined = graph.node("Gather", words, graph.constant(0, np.int64), axis=2)
        for i in range(1, self.n_words):
            word = graph.node("Gather", words, graph.constant(i, np.int64), axis=2)
            spaced = graph.node("StringConcat", graph.constant([[" "]], object), word)
            joined = graph.node(
                "StringConcat", joined, graph.node("Where", _is_empty(graph, word), word, spaced)
            )
        columns = graph.table(joined, table.n_columns, may_miss=True).columns
        return type(table)(tuple(replace(column, is_text=True) for column in columns))

    def _padded(self, graph: "Graph", texts: str, pieces: str) -> str:
        """Let every text have enough words, as a split only makes as many as the longest text has."""
        width = graph.constant([self.n_words], np.int64)
        shape = graph.node("Concat", graph.node("Shape", texts), width, axis=0)
        return graph.node("Concat", pieces, graph.node("Expand", graph.constant([""], object), shape), axis=2)


def read_torque(text: str) -> Numbers:
    """Return torque in Nm and speed in revolutions a minute; NaN for what a text does not say.

    >>> read_torque("190Nm@ 1750-2750rpm")
    (190.0, 2750.0)
    """
    plain = text.replace(",", "")
    found = _NUMBER.search(plain)
    if found is None:
        return (math.nan, math.nan)
    torque, lower = float(found[0]), plain.lower()
    if "kgm" in lower and "nm" not in lower and torque < _MAX_KGM:
        torque *= _NM_PER_KGM
    after = _AT.split(_TOLERANCE.sub("", plain), maxsplit=1)[1:]
    speeds = _SPEED.findall("".join(after))
    return (torque, float(speeds[-1]) if speeds else math.nan)


def _each(column: Words, read: Callable[[str], Numbers], n_numbers: int) -> Floats:
    """Read each distinct text of a column once, shape (n_rows, n_numbers)."""
    codes, distinct = pd.factorize(column)
    numbers = [read(str(text)) for text in distinct]
    return np.array([*numbers, (math.nan,) * n_numbers], dtype=np.float64)[codes]  # missing has the code -1


# --- nodes ---------------------------------------------------------------------------------------------


def _is_empty(graph: "Graph", texts: str) -> str:
    return graph.node("Equal", texts, graph.constant([[""]], object))


def _doubt_others(graph: "Graph", texts: str, is_read: str) -> None:
    """Abstain where a text has digits and was not read; without digits there is nothing to read."""
    is_clear = graph.node("Or", is_read, graph.node("RegexFullMatch", texts, pattern=_NO_DIGITS))
    graph.doubt(graph.node("Not", is_clear))


def _number(graph: "Graph", is_number: str, texts: str) -> str:
    """Read digits as the doubles that Python reads; NaN where ``is_number`` is false."""
    digits = graph.node("Where", is_number, texts, graph.constant([["NaN"]], object))
    return graph.node("Cast", digits, to=_DOUBLE)


def _piece(graph: "Graph", texts: str, delimiter: str, position: int) -> str:
    """Return what is before the first delimiter (0), or between that and the next or the end (1)."""
    ended = graph.node("StringConcat", texts, graph.constant([[delimiter]], object))
    pieces, _ = graph.pair("StringSplit", ended, delimiter=delimiter)
    return graph.node("Gather", pieces, graph.constant(position, np.int64), axis=2)
