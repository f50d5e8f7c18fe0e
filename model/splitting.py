"""Which rows are held out, and which fold a row belongs to: decided by what is in the row, not by chance.

A row's features give it a number that is the same in every table and on every machine. So a held-out row
stays held out when the table grows, no version is ever measured on rows that it was fitted on, and rows with
equal features never lie on both sides.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.frame import Rows

Flags = NDArray[np.bool_]
Keys = NDArray[np.uint64]
Positions = NDArray[np.int64]

HELD_OUT = 0.2
MAX_FOLDS = 5
# In a table with few different rows, a repeated one is no copy but another case that looks alike.
MIN_SHARE_DISTINCT = 0.5


def row_keys(features: pd.DataFrame) -> Keys:
    """Return a number for each row, evenly spread over 64 bits.

    Equal rows get equal numbers, unless most rows have an equal: then they are cases of their own, and the
    first, second, ... of them differ.
    """
    keys = _hashed(features)
    if len(np.unique(keys)) < MIN_SHARE_DISTINCT * len(keys):
        repeat = pd.Series(keys).groupby(keys).cumcount()
        keys = _hashed(pd.DataFrame({"key": keys, "repeat": repeat}))
    return keys


def _hashed(table: pd.DataFrame) -> Keys:
    # pandas spreads small numbers unevenly; this is the finaliser of splitmix64 (Steele, Lea and Flood 2014).
    keys: Keys = np.asarray(pd.util.hash_pandas_object(table, index=False), dtype=np.uint64)
    keys = _mixed(_mixed(keys, 30, 0xBF58476D1CE4E5B9), 27, 0x94D049BB133111EB)
    return _mixed(keys, 31, 1)


def _mixed(keys: Keys, shift: int, factor: int) -> Keys:
    mixed: Keys = np.bitwise_xor(keys, keys >> np.uint64(shift)) * np.uint64(factor)
    return mixed


def held_out(rows: Rows, task: str, share: float = HELD_OUT) -> Flags:
    """Tell which rows are held out, shape (n_rows,).

    Each row falls to one side by its key, so about ``share`` of them are held out. Of a class so small that
    none or all would be, the rows with the lowest keys are, ``share`` of them rounded up.
    """
    keys = row_keys(rows.features)
    is_held = keys < np.uint64(int(share * 2**64))
    classes = rows.y if task == "classification" else np.zeros(len(rows))
    for label in np.unique(classes):
        here = np.flatnonzero(classes == label)
        if is_held[here].all() or not is_held[here].any():
            is_held[here] = keys[here] <= np.sort(keys[here])[math.ceil(share * len(here)) - 1]
    return is_held


def folds(rows: Rows, task: str) -> list[Positions]:
    """Return the positions of the rows of each fold, for cross-validation.

    Rows with equal keys share a fold; classes are spread evenly. There are up to five folds, fewer where a
    class has fewer different rows.
    """
    keys = row_keys(rows.features)
    distinct, first, group = np.unique(keys, return_index=True, return_inverse=True)
    classes = rows.y[first] if task == "classification" else np.zeros(len(distinct), dtype=np.int64)
    smallest = int(np.unique(classes, return_counts=True)[1].min())
    n_folds = max(2, min(MAX_FOLDS, smallest))
    # Sorted by class, then by key: dealing them out in turn spreads each class over all folds.
    fold = np.empty(len(distinct), dtype=np.int64)
    fold[np.lexsort((distinct, classes))] = np.arange(len(distinct)) % n_folds
    return [np.flatnonzero(fold[group] == number) for number in range(n_folds)]
