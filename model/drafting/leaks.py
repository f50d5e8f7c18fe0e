"""Columns that know the target: they alone predict it, they add up to it, or their name says so.

A leak makes a model look perfect and fail in production, where the column is not known yet. Suspects are left
out of the features; a person can put them back.

References
----------
Kaufman, Rosset, Perlich and Stitelman 2012, "Leakage in data mining: formulation, detection, and avoidance".
"""

import re
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from model.frame import Rows
from model.spec import Spec

# A column that alone explains so much hardly is a cause: balanced accuracy, or R2 of ranks.
TELLS_CLASS, TELLS_VALUE = 0.99, 0.985
TOO_GOOD, N_NAMED = 0.97, 3
ADDS_UP = 0.99  # share of rows in which two columns must add up to the target
MAX_ROWS = 5_000
MAX_SUMMED = 40
MAX_LEAVES = 64
SEED = 20240101

_LATER = re.compile(
    r"\b(outcomes?|results?|after|post|final|actual|closed?|cancel\w*|refund\w*|paid|settled|survived|alive|death"
    r"|gross|revenue|sales|votes?|ratings?|reviews?|popularity|score|target|label)\b"
)
_PREDICTED = re.compile(r"\b(preds?|predicted|predictions?|proba|yhat|y hat)\b")

Floats = NDArray[np.float64]


def leaks(spec: Spec, rows: Rows) -> dict[str, str]:
    """Return the features that give the target away, with a sentence why.

    Parameters
    ----------
    spec : Spec
        With classes, if a classification.
    rows : Rows
        Labelled rows; at most ``MAX_ROWS`` of them are looked at.
    """
    rows = _some(rows)
    found = {name: why for name in spec.features if (why := _by_name(name) or _alone(spec, rows, name))}
    if spec.task == "regression":
        found |= {name: why for name, why in _sums(spec, rows).items() if name not in found}
    return found


def too_good(spec: Spec, rows: Rows) -> tuple[str, ...]:
    """Return the columns that one tree uses most if it is nearly always right, else nothing.

    A tree alone seldom is, unless some of its columns know the target together.
    """
    rows = _some(rows)
    table = np.column_stack([_as_numbers(rows.features[name]) for name in spec.features])
    score = _class_score if spec.task == "classification" else _value_score
    if score(table, rows.y) < TOO_GOOD:
        return ()
    tree = DecisionTreeRegressor(max_leaf_nodes=MAX_LEAVES, random_state=SEED).fit(table, rows.y)
    order = np.argsort(-tree.feature_importances_)[:N_NAMED]
    names = list(spec.features)
    return tuple(names[i] for i in order if tree.feature_importances_[i] > 0)


def known_later(name: str) -> bool:
    """Tell whether a column's name sounds like something that is known only afterwards.

    >>> [known_later(name) for name in ("final_grade", "IMDB Votes", "USGross", "finale", "tempo")]
    [True, True, True, False, False]
    """
    return bool(_LATER.search(_spaced(name)))


def _by_name(name: str) -> str:
    return "it has the name of a prediction" if _PREDICTED.search(_spaced(name)) else ""


def _spaced(name: str) -> str:
    """Return the words of a name in small letters, with blanks between them."""
    return re.sub(r"([a-zA-Z])([A-Z][a-z])", r"\1 \2", name).lower().replace("_", " ")


def _some(rows: Rows) -> Rows:
    if len(rows) <= MAX_ROWS:
        return rows
    return rows.take(np.sort(np.random.default_rng(SEED).permutation(len(rows))[:MAX_ROWS]))


def _alone(spec: Spec, rows: Rows, name: str) -> str:
    """Say how well a column alone predicts the target, if it does so too well."""
    column = _as_numbers(rows.features[name])[:, None]
    if spec.task == "classification":
        score, most = _class_score(column, rows.y), TELLS_CLASS
    else:
        score, most = _value_score(column, rows.y), TELLS_VALUE
    return f"it alone predicts {spec.target.name} ({score:.1%})" if score >= most else ""


def _as_numbers(column: "pd.Series[Any]") -> Floats:
    """A column as numbers for a tree: texts by how often they occur, ties by name; missing is NaN."""
    if column.dtype != object:
        return column.to_numpy(dtype=np.float64)
    order = {text: rank for rank, text in enumerate(sorted(column.dropna().unique()))}
    return column.map(order).to_numpy(dtype=np.float64)


def _class_score(table: Floats, y: NDArray[np.int64]) -> float:
    """Balanced accuracy of a small tree on rows that it was not fitted on, 0 at chance, 1 if always right."""
    n_folds = min(5, int(np.unique(y, return_counts=True)[1].min()))
    if n_folds < 2:
        return 0.0
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=SEED)
    tree = DecisionTreeClassifier(max_leaf_nodes=MAX_LEAVES, min_samples_leaf=2, random_state=SEED)
    chosen = cross_val_predict(tree, table, y, cv=folds)
    return float(balanced_accuracy_score(y, chosen, adjusted=True))


def _value_score(table: Floats, y: Floats) -> float:
    """R2 between ranks of a small tree's answers, on rows that it was not fitted on, and of the target."""
    ranks = pd.Series(y).rank().to_numpy()
    folds = KFold(5, shuffle=True, random_state=SEED)
    tree = DecisionTreeRegressor(min_samples_leaf=3, random_state=SEED)
    return float(r2_score(ranks, cross_val_predict(tree, table, ranks, cv=folds)))


def _sums(spec: Spec, rows: Rows) -> dict[str, str]:
    """Find two columns whose sum or difference is the target."""
    names = [name for name in spec.numbers if spec.features[name].type != "date"][:MAX_SUMMED]
    table = rows.features[names].to_numpy(dtype=np.float64)
    found: dict[str, str] = {}
    for a, b in combinations(range(len(names)), 2):
        for sign, word in ((1.0, "and"), (-1.0, "minus")):
            if _is_sum(rows.y, table[:, a], sign * table[:, b]):
                why = f"{names[a]} {word} {names[b]} give {spec.target.name}"
                found |= {names[a]: why, names[b]: why}
    return found


def _is_sum(y: Floats, one: Floats, other: Floats) -> bool:
    is_there = ~np.isnan(one + other)
    if is_there.mean() < 0.5:
        return False
    total = np.abs(one + other)[is_there]
    return bool(np.isclose(total, np.abs(y[is_there]), rtol=1e-6).mean() >= ADDS_UP)
