"""Exact Shapley values of a sum of decision trees, each against background rows.

The interventional values of Lundberg et al. 2020, "From local explanations to global understanding with
explainable AI for trees", Nature Machine Intelligence 2, 56-67: a row and a background row walk down a tree
together and part where they would go different ways. Of a leaf that is reached, U are the features that had
to be the row's own and V those that had to be the background's; by Shapley's formula each of U gets the
leaf's value times (|U|-1)! |V|! / (|U|+|V|)!, and each of V loses it times |U|! (|V|-1)! / (|U|+|V|)!.

Features here are those of the spec ("players"): all columns that preparation makes of one go the same way.
All trees and background rows walk at once. Light: numpy only.
"""

import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]
Bits = NDArray[np.uint64]

# So many pairs of a tree and a background row walk at once, which bounds memory and looks at the clock often.
PAIRS = 2_048
WORD = 64


@dataclass(frozen=True)
class Trees:
    """All nodes of some trees, one tree after the other.

    Attributes
    ----------
    left, right : ndarray of int, shape (n_nodes,)
        Children.
    column : ndarray of int, shape (n_nodes,)
        What a node asks for; -1 at a leaf.
    threshold : ndarray of float, shape (n_nodes,)
        Values up to it go left.
    missing_left : ndarray of bool, shape (n_nodes,)
        Whether NaN goes left.
    value : ndarray of float, shape (n_nodes, n_outputs)
        What a leaf adds to each output.
    roots : ndarray of int, shape (n_trees,)
    """

    left: Ints
    right: Ints
    column: Ints
    threshold: Floats
    missing_left: Flags
    value: Floats
    roots: Ints

    def totals(self, rows: Floats) -> Floats:
        """Return what the trees add up to, shape (n_rows, n_outputs)."""
        found = np.zeros((len(rows), self.value.shape[1]))
        for row, own in zip(found, rows, strict=True):
            node = self.roots
            while (inner := self.column[node] >= 0).any():
                node = np.where(inner, self.next(node, own[self.column[node]]), node)
            row += self.value[node].sum(axis=0)
        return found

    def next(self, node: Ints, values: Floats) -> Ints:
        """Return where nodes send these values of their columns."""
        is_left = np.where(np.isnan(values), self.missing_left[node], values <= self.threshold[node])
        return np.where(is_left, self.left[node], self.right[node])


@dataclass(frozen=True)
class Walk:
    """One row to explain among background rows.

    Attributes
    ----------
    trees : Trees
    players : ndarray of int, shape (n_columns,)
        The feature that each column is made of.
    n_players : int
    own : ndarray of float, shape (n_columns,)
    others : ndarray of float, shape (n_others, n_columns)
    leaf : ndarray of float, shape (n_nodes,)
        What a leaf counts for the score that is explained.
    """

    trees: Trees
    players: Ints
    n_players: int
    own: Floats
    others: Floats
    leaf: Floats

    def contributions(self, deadline: float) -> Floats | None:
        """Return the mean contribution of each player, or None if ``deadline`` (monotonic) comes first."""
        n_others, roots = len(self.others), self.trees.roots
        other = np.tile(np.arange(n_others), len(roots))
        root = np.repeat(roots, n_others)
        total = np.zeros(self.n_players)
        for start in range(0, len(root), PAIRS):
            if time.monotonic() >= deadline:
                return None
            part = slice(start, start + PAIRS)
            total += self._walked(root[part], other[part])
        return total / n_others

    @cached_property
    def _bit(self) -> Bits:
        """The bit of each player in as many words as are needed, shape (n_players, n_words)."""
        bits = np.zeros((self.n_players, -(-self.n_players // WORD)), dtype=np.uint64)
        player = np.arange(self.n_players)
        bits[player, player // WORD] = np.uint64(1) << (player % WORD).astype(np.uint64)
        return bits

    def _walked(self, node: Ints, other: Ints) -> Floats:
        """Walk down from some roots, and return what the leaves give to each player."""
        mine = np.zeros((len(node), self._bit.shape[1]), dtype=np.uint64)
        theirs, total = mine.copy(), np.zeros(self.n_players)
        while len(node):
            is_leaf = self.trees.column[node] < 0
            total += self._paid(self.leaf[node[is_leaf]], mine[is_leaf], theirs[is_leaf])
            inner = ~is_leaf
            node, other, mine, theirs = self._step(node[inner], other[inner], mine[inner], theirs[inner])
        return total

    def _step(self, node: Ints, other: Ints, mine: Bits, theirs: Bits) -> tuple[Ints, Ints, Bits, Bits]:
        """Take one step from inner nodes; where both ways can be gone, both are."""
        column = self.trees.column[node]
        bit = self._bit[self.players[column]]
        to_mine = self.trees.next(node, self.own[column])
        to_theirs = self.trees.next(node, self.others[other, column])
        is_mine, is_theirs = ((side & bit).any(axis=1) for side in (mine, theirs))
        parts = (to_mine != to_theirs) & ~is_mine & ~is_theirs
        goes_mine = is_mine | parts
        goes_theirs = ~goes_mine | parts  # where both agree it does not matter whose way is gone
        mine_now = np.where(parts[:, None], mine | bit, mine)
        theirs_now = np.where(parts[:, None], theirs | bit, theirs)
        return (
            np.concatenate([to_mine[goes_mine], to_theirs[goes_theirs]]),
            np.concatenate([other[goes_mine], other[goes_theirs]]),
            np.concatenate([mine_now[goes_mine], mine[goes_theirs]]),
            np.concatenate([theirs[goes_mine], theirs_now[goes_theirs]]),
        )

    def _paid(self, value: Floats, mine: Bits, theirs: Bits) -> Floats:
        """Share the values of leaves among the players that had to be one of the two."""
        n_mine, n_theirs = (np.bitwise_count(side).sum(axis=1).astype(np.int64) for side in (mine, theirs))
        gains = value * _share(n_mine, n_theirs)
        losses = value * _share(n_theirs, n_mine)
        return gains @ self._members(mine) - losses @ self._members(theirs)

    def _members(self, side: Bits) -> Floats:
        """Return 1 where a player is in, shape (n_leaves, n_players)."""
        flags = np.unpackbits(side.astype("<u8").view(np.uint8), axis=1, bitorder="little")
        return flags[:, : self.n_players].astype(np.float64)


def _share(n_own: Ints, n_other: Ints) -> Floats:
    """Return (u-1)! v! / (u+v)! for each pair, 0 where u is 0."""
    most = int(max(n_own.max(initial=0), n_other.max(initial=0))) + 1
    table = np.array([[_weight(u, v) for v in range(most)] for u in range(most)])
    return np.asarray(table[n_own, n_other])


def _weight(u: int, v: int) -> float:
    return 1.0 / (u * math.comb(u + v, u)) if u else 0.0
