"""Which rows belong to the named slices of a spec: those on which a challenger must not be worse."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.labels import spellings
from model.spec import Slice, Spec

Flags = NDArray[np.bool_]


def members(spec: Spec, features: pd.DataFrame) -> Mapping[str, Flags]:
    """Return for each slice of the spec which rows are in it.

    Parameters
    ----------
    spec : Spec
        Whose ``promotion.slices`` are meant.
    features : DataFrame
        As ``frame.features_frame`` makes it.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)
        By the names of the slices, in their order.
    """
    return {name: _members(one, features[one.feature]) for name, one in spec.promotion.slices.items()}


def _members(one: Slice, column: "pd.Series[Any]") -> Flags:
    if one.values:
        wanted = frozenset(key for value in one.values for key in spellings(value))
        found = [not pd.isna(v) and not wanted.isdisjoint(spellings(v)) for v in column.tolist()]
        return np.array(found, dtype=np.bool_)
    low = -np.inf if one.min is None else one.min
    high = np.inf if one.max is None else one.max
    return np.asarray(column.between(low, high), dtype=np.bool_)
