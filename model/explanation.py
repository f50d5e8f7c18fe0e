"""Why an answer is what it is: how much each feature of a row moved the score, as Shapley values.

The score is the log-odds of the positive class (two classes) or of the answered one (more), or the value of a
regression. A feature is taken away by putting the values of background rows in its place, each of them in
turn (Štrumbelj and Kononenko 2014, "Explaining prediction models and individual predictions with feature
contributions"; Lundberg and Lee 2017, "A unified approach to interpreting model predictions"). So whatever
the pipeline does with a feature counts for that feature, and any model can be explained that can score.

- Up to ``MAX_EXACT`` features, all combinations are scored: exact.
- With more, a score that is a sum of trees is explained exactly on the scale on which it is one (see
  ``model.tree_walks``); for a forest's probabilities that is the probability itself.
- Else orders of the features are drawn, each with its reverse (antithetic: Mitchell, Cooper, Frank and
  Holmes 2022, "Sampling permutations for Shapley value estimation"). Where contributions do not depend on
  the order, as in linear models, two draws are exact; elsewhere draws go on until the time is over or the
  error is small, and the answer states it.

Contributions and ``base`` add up to the score in each case. Light: numpy and a predictor.
"""

import logging
import math
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.additive import Additive, ExactContributions, Scale
from model.golden import Golden
from model.predictor import Floats, Predictor, Texts
from model.spec import Spec
from utils.errors import TooLargeError

log = logging.getLogger(__name__)

Flags = NDArray[np.bool_]
Method = Literal["exact", "additive", "sampled"]
# Contributions (numbers before texts), how they were found, and their largest standard error.
Found = tuple[Floats, Method, float]

BUDGET_S = 2.0
MAX_ROWS = 32
N_BACKGROUND = 32
MAX_EXACT = 8
# Of a row's time, the part after which trees that are too many leave the rest to drawing orders.
FOR_TREES = 0.75
MIN_DRAWS, MAX_DRAWS = 2, 64
# Draws end where the standard error of all contributions is below this share of the largest one.
GOOD = 0.01
ROUNDING = 1e-9
# Log-odds of 0 and 1 would be infinite.
LEAST_PROBABILITY = 1e-6


class Explanation(msgspec.Struct, frozen=True, gc=False):
    """One row's contributions.

    ``base`` is the mean score of the background rows. ``sampling_error`` is the largest standard error of a
    contribution; 0 where ``method`` is not ``sampled``.
    """

    scale: Scale
    base: float
    score: float
    contributions: dict[str, float]
    method: Method
    sampling_error: float


class Explainer:
    """Explains the answers of one version; safe to use from several threads at once.

    Parameters
    ----------
    golden : Golden
        Its usual rows are a sample of the training rows, of which the background is taken.
    additive : bytes, optional
        The part of the version that has its score as a sum; read when it is first needed.
    """

    def __init__(
        self, spec: Spec, predictor: Predictor, golden: Golden, additive: bytes | None = None
    ) -> None:
        self._spec = spec
        self._predictor = predictor
        usual = _spread(golden)
        self._numbers = golden.numbers[usual]
        self._texts = None if golden.texts is None else golden.texts[usual]
        self._names = [*spec.numbers, *spec.texts]
        self._additive = additive

    def explain(
        self, numbers: Floats, texts: Texts | None, scores: Floats, budget_s: float | None = None
    ) -> list[Explanation]:
        """Explain rows, within about ``budget_s`` (by default ``BUDGET_S``) for all of them.

        Parameters
        ----------
        numbers, texts : ndarray
            The rows, as a predictor gets them.
        scores : ndarray
            What it gave for them.

        Raises
        ------
        TooLargeError
            If there are more than ``MAX_ROWS`` rows.
        """
        if len(numbers) > MAX_ROWS:
            raise TooLargeError(f"{len(numbers)} rows are too many to explain at once; {MAX_ROWS} are not.")
        end, found = time.monotonic() + (BUDGET_S if budget_s is None else budget_s), []
        for i in range(len(numbers)):
            share = (end - time.monotonic()) / (len(numbers) - i)
            row = _Row(numbers[i], None if texts is None else texts[i], self._class_of(scores[i]))
            found.append(self._explained(row, scores[i : i + 1], time.monotonic() + share))
        return found

    def _explained(self, row: "_Row", score: Floats, deadline: float) -> Explanation:
        full = float(self._scaled(score, row)[0])
        empty = self._scaled(self._background_scores, row)
        if len(self._names) <= MAX_EXACT:
            return self._told(row, empty, full, (self._all_coalitions(row, empty, full), "exact", 0.0))
        found = self._by_trees(row, score, deadline)
        return found or self._told(row, empty, full, self._drawn(row, empty, full, deadline))

    def _told(
        self, row: "_Row", empty: Floats, full: float, found: tuple[Floats, Method, float]
    ) -> Explanation:
        contributions, method, error = found
        scale: Scale = "value" if row.position is None else "log_odds"
        return Explanation(scale, float(empty.mean()), full, self._by_name(contributions), method, error)

    def _by_name(self, contributions: Floats) -> dict[str, float]:
        by_name = dict(zip(self._names, contributions.tolist(), strict=True))
        return {name: by_name[name] for name in self._spec.features}

    def _by_trees(self, row: "_Row", score: Floats, deadline: float) -> Explanation | None:
        """Explain a score that is a sum of trees; None where it is none, or there are too many trees."""
        if self._sum is None:
            return None
        end = time.monotonic() + FOR_TREES * (deadline - time.monotonic())
        found = self._sum.of(row.numbers, row.texts, score, row.position, end)
        if found is None:
            return None
        contributions, base, full = found
        return Explanation(self._sum.scale, base, full, self._by_name(contributions), "exact", 0.0)

    @cached_property
    def _sum(self) -> ExactContributions | None:
        if self._additive is None:
            return None
        try:
            return ExactContributions(
                Additive.from_bytes(self._additive),
                len(self._names),
                self._numbers,
                self._texts,
                self._background_scores,
            )
        except Exception:  # ONNX Runtime raises types of its own; orders can be drawn instead
            log.exception("%s: the sum of trees cannot be read; contributions are sampled", self._spec.name)
            return None

    def _class_of(self, scores: Floats) -> int | None:
        """Return the position of the class whose log-odds are explained; None for a regression."""
        if self._spec.task == "regression":
            return None
        positive = self._spec.positive_index
        return int(scores.argmax()) if positive is None else positive

    @staticmethod
    def _scaled(scores: Floats, row: "_Row") -> Floats:
        if row.position is None:
            return scores
        p = np.clip(scores[:, row.position], LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        return np.asarray(np.log(p / (1 - p)))

    @cached_property
    def _background_scores(self) -> Floats:
        return self._predictor.scores(self._numbers, self._texts)

    def _values(self, row: "_Row", masks: Flags) -> Floats:
        """Return the score with the features of each mask from the row and all others from the background.

        Shape (n_masks, n_background).
        """
        width = self._numbers.shape[1]
        is_own = masks[:, None, :]
        numbers = np.where(is_own[..., :width], row.numbers, self._numbers).reshape(-1, width)
        texts = None
        if self._texts is not None and row.texts is not None:
            mixed = np.where(is_own[..., width:], row.texts, self._texts)
            texts = mixed.reshape(-1, self._texts.shape[1])
        scores = self._predictor.scores(np.ascontiguousarray(numbers), texts)
        return self._scaled(scores, row).reshape(len(masks), -1)

    def _all_coalitions(self, row: "_Row", empty: Floats, full: float) -> Floats:
        """Return exact Shapley values from the values of all sets of features."""
        n = len(self._names)
        sets = np.arange(2**n)
        masks = (sets[:, None] >> np.arange(n)) & 1 == 1
        value = np.empty(2**n)
        value[0], value[-1] = empty.mean(), full
        if n > 1:
            value[1:-1] = self._values(row, masks[1:-1]).mean(axis=1)
        sizes = masks.sum(axis=1)
        weight = np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])
        return np.array([_gain(value, sets[~masks[:, i]], 1 << i, weight, sizes) for i in range(n)])

    def _drawn(self, row: "_Row", empty: Floats, full: float, deadline: float) -> Found:
        """Return Shapley values from drawn orders, how exact they are, and their largest standard error."""
        rng = np.random.default_rng(len(self._names))  # the same row gets the same answer
        draws: list[Floats] = []
        is_additive = True
        while len(draws) < MAX_DRAWS:
            order = rng.permutation(len(self._names))
            forward, backward = self._walk(row, order, empty, full), self._walk(row, order[::-1], empty, full)
            is_additive = is_additive and np.allclose(forward, backward, rtol=0, atol=_atol(forward))
            draws.append(((forward + backward) / 2).mean(axis=1))
            if len(draws) >= MIN_DRAWS and (is_additive or self._is_enough(draws, deadline)):
                break
        mean = np.mean(draws, axis=0)
        return (mean, "additive", 0.0) if is_additive else (mean, "sampled", _error(draws))

    @staticmethod
    def _is_enough(draws: Sequence[Floats], deadline: float) -> bool:
        is_good = _error(draws) <= GOOD * float(np.abs(np.mean(draws, axis=0)).max())
        return is_good or time.monotonic() >= deadline

    def _walk(self, row: "_Row", order: NDArray[np.intp], empty: Floats, full: float) -> Floats:
        """Put the row's values in one by one; returns what each changes, shape (n_features, n_background)."""
        n = len(order)
        masks = np.zeros((n - 1, n), dtype=bool)
        for step in range(n - 1):
            masks[step:, order[step]] = True
        path = np.vstack([empty, self._values(row, masks), np.full(len(empty), full)])
        gains = np.empty((n, len(empty)))
        gains[order] = np.diff(path, axis=0)
        return gains


class _Row(msgspec.Struct, frozen=True):
    """One row to explain, and the class that it is about."""

    numbers: Floats
    texts: Texts | None
    position: int | None


def _gain(
    value: Floats, without: NDArray[np.int64], bit: int, weight: Floats, sizes: NDArray[np.int64]
) -> float:
    """Return the weighted mean of what a feature adds to all sets that lack it (Shapley 1953)."""
    return float((weight[sizes[without]] * (value[without | bit] - value[without])).sum())


def _atol(gains: Floats) -> float:
    return ROUNDING * max(1.0, float(np.abs(gains).max()))


def _error(draws: Sequence[Floats]) -> float:
    """Return the largest standard error of the mean of the draws."""
    return float((np.std(draws, axis=0, ddof=1) / math.sqrt(len(draws))).max())


def _spread(golden: Golden) -> NDArray[np.intp]:
    """Choose among the usual rows some that stand for all: evenly spread in the order of their scores."""
    expected = golden.expected[: golden.n_usual or golden.n_rows]
    if expected.ndim == 2:
        expected = expected[:, golden.positive if expected.shape[1] == 2 else 0]
    order = np.argsort(expected, kind="stable")
    parts = np.array_split(order, min(N_BACKGROUND, len(order)))
    return np.array([part[len(part) // 2] for part in parts])
