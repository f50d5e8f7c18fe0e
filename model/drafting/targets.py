"""What is to be predicted: classes or a number, which class is positive, which labels cannot be used."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from model.columns import TRUE_TEXTS
from model.drafting.amounts import amounts_of
from model.drafting.doubts import Doubt
from model.drafting.kinds import FEW, NEVER_VALUES
from model.resolving import MAX_CLASSES, distinct_labels
from model.spec import Label, Target, Task
from utils.errors import TableError

# Whole numbers of no more than so many values are classes.
MOST_NUMBER_CLASSES = 12
MIN_CLASS_ROWS = 5
RARE = 0.1
YES = TRUE_TEXTS | {
    "positive",
    "pos",
    "died",
    "dead",
    "churned",
    "default",
    "fraud",
    "spam",
    "bad",
    "sick",
    "ill",
}

_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*", re.ASCII)


@dataclass(frozen=True)
class Goal:
    """Task and target; ``gaps`` are texts in the column that stand for "not known"."""

    task: Task
    target: Target
    gaps: tuple[str, ...]
    doubts: tuple[Doubt, ...]


def goal_of(name: str, column: "pd.Series[str]", decimal: str = ".") -> Goal:
    """Tell what is to be predicted from the cells of the target column.

    Raises
    ------
    TableError
        If it has fewer than two values, or too many texts to be classes.
    """
    counts = column.dropna().value_counts()
    gaps = tuple(text for text in counts.index if text.strip().lower() in NEVER_VALUES)
    counts = counts.drop(list(gaps))
    if len(counts) < 2:
        raise TableError(
            f"The target column {name!r} has {len(counts)} distinct values; there must be two at least."
        )
    texts = [text.replace(decimal, ".") for text in counts.index]
    if all(_NUMBER.fullmatch(text) for text in texts) and not _are_classes(
        np.array(texts, dtype=np.float64), counts
    ):
        return Goal("regression", Target(name=name), gaps, ())
    return _amounts(name, counts, gaps, decimal) or _classes(name, counts, gaps)


def _amounts(name: str, counts: "pd.Series[int]", gaps: tuple[str, ...], decimal: str) -> Goal | None:
    """Take texts such as "$1,234" for numbers, if all can be read and are no classes."""
    found = amounts_of(list(counts.index), decimal)
    if found is None or len(found.values) < len(counts) or not (found.is_sure or len(counts) > FEW):
        return None
    if found.has_mixed_factors or _are_classes(
        np.array([found.values[text] for text in counts.index]), counts
    ):
        return None
    unit = found.units[0] if len(found.units) == 1 else None
    doubts = tuple(Doubt(code, name, told) for code, told in found.told)
    return Goal("regression", Target(name=name, unit=unit, written=found.written), gaps, doubts)


def _are_classes(numbers: "np.ndarray[tuple[int], np.dtype[np.float64]]", counts: "pd.Series[int]") -> bool:
    is_whole = bool((numbers == np.floor(numbers)).all())
    is_repeated = len(counts) * MIN_CLASS_ROWS <= counts.sum()
    return len(counts) == 2 or (is_whole and len(counts) <= MOST_NUMBER_CLASSES and is_repeated)


def _classes(name: str, counts: "pd.Series[int]", gaps: tuple[str, ...]) -> Goal:
    lonely = [text for text, count in counts.items() if count < 2]
    kept = counts.drop(lonely)
    if not 2 <= len(kept) <= MAX_CLASSES:
        raise TableError(
            f"The target column {name!r} has {len(kept)} texts that occur more than once; a classification"
            f" needs 2 to {MAX_CLASSES}."
        )
    labels = distinct_labels(kept.index.to_numpy(dtype=object))
    target = Target(name=name, classes=labels, positive=_positive(labels), unknown=tuple(map(str, lonely)))
    return Goal("classification", target, gaps, tuple(_doubts(target, kept)))


def _positive(labels: Sequence[Label]) -> Label | None:
    """Return of two classes the one with the name of a yes, else the second; None for more classes."""
    if len(labels) != 2:
        return None
    return next((label for label in labels if str(label).strip().lower() in YES), labels[1])


def _doubts(target: Target, counts: "pd.Series[int]") -> Iterable[Doubt]:
    labels = tuple(target.classes or ())
    if target.unknown:
        shown = ", ".join(map(repr, target.unknown[:5]))
        yield Doubt(
            "lonely_class", target.name, f"One row each of {shown}: too few to learn, taken for unknown."
        )
    if len(labels) > 2 and not isinstance(labels[0], str | bool):
        numbers = f"The numbers {labels[0]} to {labels[-1]}"
        detail = f"{numbers} were taken for classes; for amounts set `task: regression`."
        yield Doubt("task", target.name, detail)
    if target.positive is not None and str(target.positive).strip().lower() not in YES:
        yield Doubt("positive", target.name, f"{target.positive!r} was taken for the positive class.")
    rarest, share = counts.index[-1], float(counts.iloc[-1] / counts.sum())
    if share < RARE:
        detail = (
            f"Only {share:.1%} of the rows are {rarest!r}: look at average_precision and f1, not accuracy."
        )
        yield Doubt("unbalanced", target.name, detail)
