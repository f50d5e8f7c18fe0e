"""Whether features still go together as they did, in any way: a score a feature, from tables of training.

Each feature is coded into five levels (quarters of training, or its four most frequent categories; the last
level is for the rest). A *table* of feature f and one or two others holds, for each cell, by how much more
often training had that combination than it would if f had nothing to do with the others: the logarithm
of p(f, g) / p(f) p(g), the pointwise mutual information (Church and Hanks, "Word association norms", Comput.
Linguist. 16 (1990)). A row's score of f is the sum over its tables. If the dependence breaks while each
feature stays as it is, scores fall, whatever the form of the dependence; tables of three features see what no
pair shows.

Tables are learnt on one half of training and scores on the other half, so that without drift a score of
production is a draw of the same distribution. From there on it is a number like any other: counted in cells,
added up over hours, and tested within the same budget (``docs/drift-proof.md``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.monitoring.arrays import Floats
from model.monitoring.cells import CategoryCells, fit_number_cells
from model.monitoring.columns import Column, NumberColumn, as_list, category_text, is_missing
from model.monitoring.feature import FeatureReference

JOINT = "@joint:"
MAX_FEATURES = 24
MIN_ROWS = 400
MAX_ROWS = 20_000  # that tables are learnt from
MAX_TRIPLES = 700
SCORE_CELLS = 128
N_LEVELS = 5
_QUARTERS = (0.25, 0.5, 0.75)
_N_PAIRS, _N_TRIPLES = 4, 2  # tables a feature
_LEVEL = 1e-3  # chance that a feature without any dependence gets a table
_MOST = 4.0  # a single cell must not decide alone
_HALVES = np.array([[0, 0, 1, 1, 2], [0, 1, 1, 1, 2]], dtype=np.uint8)  # of numbers, of categories

Codes = NDArray[np.uint8]
Members = tuple[int, ...]


@dataclass(frozen=True)
class Coding:
    """How one feature becomes five levels: cut at ``cuts``, or by ``categories``."""

    name: str
    cuts: tuple[float, ...] = ()
    categories: tuple[str, ...] | None = None

    @cached_property
    def _levels(self) -> dict[str, int]:
        return {category: level for level, category in enumerate(self.categories or ())}

    def codes(self, column: Column) -> Codes:
        """Return the level of each row; a column of numbers or dates must be read already."""
        if isinstance(column, NumberColumn):
            above = sum(((column.rows > cut).view(np.uint8) for cut in self.cuts), np.uint8(0))
            return np.where(column.is_there, above, np.uint8(N_LEVELS - 1)).astype(np.uint8)
        levels, rest = self._levels, N_LEVELS - 1
        found = [levels.get(one if type(one) is str else _text(one), rest) for one in as_list(column)]
        return np.array(found, dtype=np.uint8)


def _text(value: Any) -> str:
    return "" if is_missing(value) else category_text(value) or ""


@dataclass(frozen=True, eq=False)
class Table:
    """What each combination of levels of ``members`` says; the first of them is whose score it is.

    Two members have 25 cells, three have 27: of halves, which are upper, lower and the rest.
    """

    members: Members
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class JointReference:
    """Tables by feature, and what their scores looked like in training.

    Parameters
    ----------
    codings : sequence of Coding
        Members of tables are places here.
    tables : mapping of feature name to sequence of Table
    scores : mapping of name of the counts to FeatureReference
        Named ``JOINT`` and the feature.
    """

    codings: Sequence[Coding]
    tables: Mapping[str, Sequence[Table]]
    scores: Mapping[str, FeatureReference]

    def scored(self, columns: Mapping[str, Column]) -> dict[str, NumberColumn]:
        """Return the scores of rows given column by column, each read by its feature, by name."""
        return {JOINT + name: NumberColumn(score, 0) for name, score in self._scored(columns).items()}

    def _scored(self, columns: Mapping[str, Column]) -> dict[str, Floats]:
        levels = _Levels(self.codings, [coding.codes(columns[coding.name]) for coding in self.codings])
        return _sums(self.tables, levels)

    def partners(self, name: str) -> list[str]:
        """Return the features that a score is about besides its own, most telling first."""
        members = [member for table in self.tables[name] for member in table.members[1:]]
        return [self.codings[member].name for member in dict.fromkeys(members)]


def fit_joint(features: Iterable[FeatureReference], columns: Mapping[str, Column]) -> JointReference | None:
    """Learn the tables and the scores of training; None if no feature goes with another, or rows are few."""
    kept = [one for one in features if not one.is_output][:MAX_FEATURES]
    codings = [_coding(feature) for feature in kept]
    read = {feature.name: feature.read(columns[feature.name]) for feature in kept}
    levels = [coding.codes(read[coding.name]) for coding in codings]
    n_rows = len(levels[0]) if levels else 0
    if n_rows < MIN_ROWS or len(levels) < 2:
        return None
    order = np.random.default_rng(0).permutation(n_rows)
    half = _Levels(codings, [one[order[: n_rows // 2][:MAX_ROWS]] for one in levels])
    tables = {name: found for name, found in _tables(codings, half).items() if found}
    other = _Levels(codings, [one[order[n_rows // 2 :]] for one in levels])
    return JointReference(codings, tables, _scores(_sums(tables, other))) if tables else None


class _Levels:
    """Coded rows, and their cells in tables, each worked out once."""

    def __init__(self, codings: Sequence[Coding], levels: Sequence[Codes]) -> None:
        self.levels = levels
        self._halves: dict[int, Codes] = {}
        self._codings = codings

    def halves(self, member: int) -> Codes:
        if member not in self._halves:
            row = int(self._codings[member].categories is not None)
            self._halves[member] = _HALVES[row][self.levels[member]]
        return self._halves[member]

    def cells(self, members: Members) -> Codes:
        """Return the cell of each row: in base 5 for a pair, in base 3 for three."""
        if len(members) == 2:
            return self.levels[members[0]] * np.uint8(N_LEVELS) + self.levels[members[1]]
        first, second, third = (self.halves(member) for member in members)
        return (first * np.uint8(3) + second) * np.uint8(3) + third


def _coding(feature: FeatureReference) -> Coding:
    values, cells = feature.values(feature.counts), feature.cells
    if isinstance(cells, CategoryCells):
        order = np.argsort(-values[:-1], kind="stable")[: N_LEVELS - 1]
        return Coding(feature.name, categories=tuple(cells.categories[place] for place in order))
    up_to = np.cumsum(values)[2:-1:2] / max(1, int(values.sum()))
    places = [int(up_to.searchsorted(level)) for level in _QUARTERS]
    cuts = [float(cells.borders[min(place, len(up_to) - 1)]) for place in places] if len(up_to) else []
    return Coding(feature.name, tuple(cuts))


def _sums(tables: Mapping[str, Sequence[Table]], levels: _Levels) -> dict[str, Floats]:
    return {
        name: np.sum([table.values[levels.cells(table.members)] for table in some], axis=0, dtype=np.float64)
        for name, some in tables.items()
    }


def _tables(codings: Sequence[Coding], levels: _Levels) -> dict[str, list[Table]]:
    places = range(len(codings))
    shares: dict[Members, Floats] = {(i, j): _shares(levels, (i, j)) for i, j in combinations(places, 2)}
    triples = list(combinations(places, 3))
    if len(triples) > MAX_TRIPLES:
        chosen = np.random.default_rng(1).choice(len(triples), MAX_TRIPLES, replace=False)
        triples = [triples[place] for place in chosen.tolist()]
    threes: dict[Members, Floats] = {members: _shares(levels, members) for members in triples}
    n_rows = len(levels.levels[0])
    return {
        coding.name: [
            *_best_pairs(place, shares, n_rows)[:_N_PAIRS],
            *_best_triples(place, threes, n_rows)[:_N_TRIPLES],
        ]
        for place, coding in enumerate(codings)
    }


def n_cells(n_members: int) -> int:
    """Return how many cells a table of two or three members has."""
    return N_LEVELS**2 if n_members == 2 else 3**3


def _shares(levels: _Levels, members: Members) -> Floats:
    counts = np.bincount(levels.cells(members), minlength=n_cells(len(members)))
    side = N_LEVELS if len(members) == 2 else 3
    return np.asarray((counts / counts.sum()).reshape((side,) * len(members)))


def _best_pairs(place: int, shares: Mapping[Members, Floats], n_rows: int) -> list[Table]:
    found = []
    for (i, j), share in shares.items():
        if place in (i, j):
            joint = share if i == place else share.T
            found.append(((place, j if i == place else i), joint, _independent(joint)))
    return _telling(found, n_rows, (N_LEVELS - 1) ** 2)


def _best_triples(place: int, shares: Mapping[Members, Floats], n_rows: int) -> list[Table]:
    """Return tables of three that say more than their pairs: beyond those, nothing is left to add."""
    found = []
    for members, share in shares.items():
        if place in members:
            axis = members.index(place)
            others = tuple(member for member in members if member != place)
            joint = np.moveaxis(share, axis, 0)
            found.append(((place, *others), joint, _without_interaction(joint)))
    return _telling(found, n_rows, 8)


def _independent(joint: Floats) -> Floats:
    return np.asarray(joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True))


def _without_interaction(joint: Floats) -> Floats:
    """Return the shares that the three pairs alone would give: Kirkwood's superposition, made to add up."""
    pairs = [joint.sum(axis=axis, keepdims=True) for axis in range(3)]
    ones = [joint.sum(axis=axes, keepdims=True) for axes in ((1, 2), (0, 2), (0, 1))]
    below = np.maximum(ones[0] * ones[1] * ones[2], 1e-12)
    expected = pairs[0] * pairs[1] * pairs[2] / below
    return np.asarray(expected / max(expected.sum(), 1e-12))


def _telling(found: Sequence[tuple[Members, Floats, Floats]], n_rows: int, freedom: int) -> list[Table]:
    """Return tables of what is beyond chance, the most telling first."""
    from scipy import special  # training only; pages read tables without it

    limit = float(special.chdtri(freedom, _LEVEL / max(1, len(found)))) / (2 * n_rows)
    kept = []
    for members, joint, expected in found:
        information = float(special.rel_entr(joint, np.maximum(expected, 1e-12)).sum())
        if information > limit:
            smooth = 1 / n_rows
            values = np.clip(np.log((joint + smooth) / (expected + smooth)), -_MOST, _MOST)
            kept.append((information, Table(members, values.ravel().astype(np.float32))))
    return [table for _, table in sorted(kept, key=lambda one: -one[0])]


def _scores(scores: Mapping[str, Floats]) -> dict[str, FeatureReference]:
    found = {}
    for name, score in scores.items():
        column = NumberColumn(score, 0)
        cells = fit_number_cells(column, max_cells=SCORE_CELLS)
        found[JOINT + name] = FeatureReference(JOINT + name, "number", cells, cells.count(column))
    return found
