"""Which features go together: agreement of pairs, counted so that it adds up like everything else.

Every feature is cut once, at training's median (a number) or at its most frequent category. Two features
*agree* in a row if both are on the upper side or both are not. A correlation that breaks changes how often
they agree though neither feature's own distribution moves: for normal variables of correlation rho the share
is 1/2 + arcsin(rho)/pi (Sheppard, Phil. Trans. R. Soc. A 192 (1899)). Cuts are fixed in training and
agreement is a share like any other, so it has the same exact tails and its part of the same budget.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells, Counts
from model.monitoring.columns import Column, as_list, category_text, is_missing, read_days, read_numbers
from model.monitoring.feature import FeatureReference

PAIRS = "@pairs"
MAX_FEATURES = 60  # 1,770 pairs
_MIN_SIDE = 0.05  # a side with fewer rows says little about agreement

Bits = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a feature is cut in two: above a number, or one category against all others."""

    name: str
    above: float = 0.0
    category: str | None = None
    is_date: bool = False

    def sides(self, column: Column) -> tuple[Bits, Bits]:
        """Return, packed 64 rows a word, which rows are on the upper side and which have a value."""
        if self.category is not None:
            return self._category_sides(as_list(column))
        read = read_days(column) if self.is_date else read_numbers(column)
        return _packed(read.rows > self.above), _packed(read.is_there)

    def _category_sides(self, values: Sequence[Any]) -> tuple[Bits, Bits]:
        texts = [None if is_missing(value) else category_text(value) for value in values]
        is_there = np.array([text is not None for text in texts], dtype=np.bool_)
        return _packed(np.array([text == self.category for text in texts], dtype=np.bool_)), _packed(is_there)


@dataclass(frozen=True, eq=False)
class PairCells:
    """Counts of agreement for all pairs of some cuts.

    Of P pairs, in the order of ``itertools.combinations``, the first P counts are rows that agree, the other
    P rows that do not. Rows in which one of the two has no value are in neither.
    """

    cuts: tuple[Cut, ...]

    @property
    def names(self) -> list[tuple[str, str]]:
        """Names of the two features of each pair."""
        return list(combinations([cut.name for cut in self.cuts], 2))

    @property
    def n_counts(self) -> int:
        """Length of the counts: 2 P."""
        return len(self.cuts) * (len(self.cuts) - 1)

    @cached_property
    def layout(self) -> int:
        """CRC-32 of the cuts."""
        return zlib.crc32(repr(self.cuts).encode("utf-8", "surrogatepass"), 3)

    def count(self, columns: Mapping[str, Column]) -> Counts:
        """Count rows given column by column, all of one length."""
        sides = [cut.sides(columns[cut.name]) for cut in self.cuts]
        upper, there = (np.stack(bits) for bits in zip(*sides, strict=True))
        agree, both = [], []
        for first in range(len(self.cuts) - 1):
            is_both = there[first] & there[first + 1 :]
            both.append(_n_bits(is_both))
            agree.append(_n_bits(~(upper[first] ^ upper[first + 1 :]) & is_both))
        agreeing = np.concatenate(agree)
        return Counts(np.concatenate([agreeing, np.concatenate(both) - agreeing]), self.layout)

    def read(self, pair: int, counts: Ints) -> Ints:
        """Return rows of one pair that agree and that do not; (n, 2 P) to (n, 2)."""
        return counts[:, [pair, self.n_counts // 2 + pair]]


@dataclass(frozen=True, eq=False)
class PairReference:
    """Pairs and how often they agreed in training."""

    cells: PairCells
    counts: Counts


def fit_pairs(features: Iterable[FeatureReference], columns: Mapping[str, Column]) -> PairReference | None:
    """Cut the first ``MAX_FEATURES`` features that can be cut in two, and count their pairs in training.

    Outputs are left out: they follow the features. None if there are fewer than two features to pair.
    """
    found = [_cut(feature) for feature in features if not feature.is_output]
    cuts = tuple(cut for cut in found if cut is not None)[:MAX_FEATURES]
    if len(cuts) < 2:
        return None
    cells = PairCells(cuts)
    return PairReference(cells, cells.count(columns))


def _cut(feature: FeatureReference) -> Cut | None:
    values = feature.values(feature.counts)
    cells = feature.cells
    n_rows = int(values.sum())
    if isinstance(cells, CategoryCells):
        place = int(values[:-1].argmax()) if len(cells.categories) else 0
        is_even = bool(n_rows) and _MIN_SIDE <= values[place] / n_rows <= 1 - _MIN_SIDE
        return Cut(feature.name, category=cells.categories[place]) if is_even else None
    up_to = np.cumsum(values)[2:-1:2] / max(1, n_rows)
    place = int(np.abs(up_to - 0.5).argmin()) if len(up_to) else 0
    if not len(up_to) or not _MIN_SIDE <= up_to[place] <= 1 - _MIN_SIDE:
        return None
    return Cut(feature.name, above=float(cells.borders[place]), is_date=cells.is_date)


def _packed(flags: NDArray[np.bool_]) -> Bits:
    padded = np.zeros(-(-len(flags) // 64) * 8, dtype=np.uint8)
    packed = np.packbits(flags)
    padded[: len(packed)] = packed
    return padded.view(np.uint64)


def _n_bits(words: Bits) -> Ints:
    return np.asarray(np.bitwise_count(words).sum(axis=1), dtype=np.int64)
