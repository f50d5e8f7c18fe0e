"""What other thresholds would have answered: from rows counted by their probability, however many these are.

Pure: knows neither Flask nor stores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

Counts = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class AtThreshold:
    """Labelled rows by truth and answer, were all with at least this probability answered as positive."""

    threshold: float
    n_right: int
    n_wrong: int
    n_missed: int
    n_spared: int

    @property
    def precision(self) -> float | None:
        """Share of positive answers that are true."""
        return self.n_right / self.n_positive if self.n_positive else None

    @property
    def recall(self) -> float | None:
        """Share of true positives that are answered as such."""
        n_true = self.n_right + self.n_missed
        return self.n_right / n_true if n_true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both."""
        total = 2 * self.n_right + self.n_wrong + self.n_missed
        return 2 * self.n_right / total if total else None

    @property
    def n_positive(self) -> int:
        """Positive answers."""
        return self.n_right + self.n_wrong


def added(parts: Sequence[Counts]) -> dict[str, list[int]] | None:
    """Add the counts of several windows; None of none.

    >>> added([{"positive": [0, 1], "negative": [2, 0]}, {"positive": [1, 1], "negative": [0, 0]}])
    {'positive': [1, 2], 'negative': [2, 0]}
    """
    if not parts:
        return None
    return {
        side: [sum(column) for column in zip(*(part[side] for part in parts), strict=True)]
        for side in ("positive", "negative")
    }


def every(counts: Counts) -> list[AtThreshold]:
    """Return what each threshold would have given: even steps from 0 to 1, where the groups begin.

    >>> [one.precision for one in every({"positive": [0, 1, 0], "negative": [2, 1, 0]})]
    [0.25, 0.5, None]
    """
    n_steps = len(counts["positive"]) - 1
    right, wrong = (_from_above(counts[side]) for side in ("positive", "negative"))
    return [
        AtThreshold(i / n_steps, right[i], wrong[i], right[0] - right[i], wrong[0] - wrong[i])
        for i in range(n_steps + 1)
    ]


def _from_above(counts: Sequence[int]) -> list[int]:
    return list(accumulate(reversed(counts)))[::-1]
