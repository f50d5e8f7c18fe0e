"""Choosing golden rows: sampled training rows, and the edges at which two implementations would part.

Heavy (pandas, and the pipeline's own predictions); ``model.golden`` stores and replays what is made here.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from model.fallback import SklearnPredictor
from model.golden import Golden
from model.predictor import Floats, UnscorableRowsError

UNSEEN = "a category that no training row has"

Range = tuple[float | None, float | None]


def make_golden(
    pipeline: Any,
    frame: pd.DataFrame,
    texts: Sequence[str],
    *,
    may_miss: Collection[str] = (),
    ranges: Mapping[str, Range] | None = None,
    n_sampled: int = 200,
    n_jumps: int = 120,
    positive: int = 1,
    threshold: float = 0.5,
    seed: int = 0,
) -> Golden:
    """Choose rows and ask the fitted pipeline about them.

    Parameters
    ----------
    pipeline : estimator
        Fitted on rows like ``frame``.
    frame : DataFrame
        Training rows: numbers as float64, texts as object, NaN missing, columns in spec order.
    texts : sequence of str
        Which columns hold text.
    may_miss : collection of str
        Columns in which the spec allows a missing value.
    ranges : mapping of str to (low, high), optional
        Plausible ranges of numbers; the training rows' own where it says nothing.
    n_sampled : int, default=200
        Training rows taken as they are.
    n_jumps : int, default=120
        Searches for a jump (a tree's threshold, a bin's edge); each that finds one adds the two neighbouring
        doubles on its sides.
    positive, threshold : int, float
        See ``Golden``.
    seed : int, default=0

    Returns
    -------
    golden : Golden
        A few hundred rows. Rows that the pipeline refuses (such as an unseen category where the encoder
        raises) are left out.
    """
    chooser = _Chooser(pipeline, frame, texts, np.random.default_rng(seed))
    chooser.sample(n_sampled)
    chooser.vary(may_miss, ranges or {})
    chooser.search_jumps(n_jumps)
    return chooser.golden(positive, threshold)


class _Chooser:
    """Collects rows as frames of training rows with some values replaced."""

    def __init__(
        self, pipeline: Any, frame: pd.DataFrame, texts: Sequence[str], rng: np.random.Generator
    ) -> None:
        self._predictor = SklearnPredictor(pipeline, list(frame.columns), texts)
        self._frame = frame.reset_index(drop=True)
        self._texts = [name for name in frame.columns if name in set(texts)]
        self._numbers = [name for name in frame.columns if name not in set(texts)]
        self._rng = rng
        self._rows: list[pd.DataFrame] = []

    # --- rows ----------------------------------------------------------------------------------------

    def sample(self, n_rows: int) -> None:
        """Take training rows as they are."""
        self._rows.append(self._draw(min(n_rows, len(self._frame))))

    def vary(self, may_miss: Collection[str], ranges: Mapping[str, Range]) -> None:
        """Take a few training rows a column, with that column at its edges."""
        for name in self._frame.columns:
            if name in may_miss:
                self._with_values(name, [np.nan] * 4)
            if name in self._texts:
                self._with_values(name, [UNSEEN, *self._frame[name].dropna().unique()[:20]])
            else:
                self._with_values(name, self._ends(name, ranges.get(name, (None, None))))
        if may_miss:
            self._rows.append(self._draw(2).assign(**dict.fromkeys(may_miss, np.nan)))

    def _draw(self, n_rows: int) -> pd.DataFrame:
        chosen = self._frame.iloc[self._rng.integers(0, len(self._frame), n_rows)]
        return chosen.reset_index(drop=True)

    def _with_values(self, name: str, values: Sequence[Any]) -> None:
        rows = self._draw(len(values))
        rows[name] = pd.Series(list(values), dtype=object if name in self._texts else np.float64)
        self._rows.append(rows)

    def _ends(self, name: str, limits: Range) -> list[float]:
        seen = self._frame[name].to_numpy(dtype=np.float64)
        known = [limit for limit in (*limits, *_extremes(seen)) if limit is not None]
        ends = sorted({float(end) for end in known})
        outside = [ends[0] - 1.0, ends[-1] + 1.0, 2 * ends[-1] - ends[0]] if ends else []
        return [*ends, *(np.nextafter(end, np.inf) for end in ends), *outside, 0.0]

    # --- jumps ---------------------------------------------------------------------------------------

    def search_jumps(self, n_searches: int) -> None:
        """Bisect between pairs of values of one number for places where the scores jump.

        Works for whatever is between the number and the jump: scalers, logarithms, bins, trees.
        """
        if not self._numbers or len(self._frame) < 2:
            return
        rows = self._draw(n_searches)
        names = [self._numbers[i % len(self._numbers)] for i in range(len(rows))]
        low, high = (self._drawn_values(names) for _ in range(2))
        low, high = self._bisect(rows, names, low, high)
        score_low, score_high = (self._score_with(rows, names, values) for values in (low, high))
        if score_low is None or score_high is None:
            return
        jumps = np.flatnonzero((score_low != score_high).any(axis=1) & (low != high))
        for values in (low, high):
            self._rows.append(_assigned(rows, names, values).iloc[jumps])

    def _drawn_values(self, names: Sequence[str]) -> Floats:
        return np.array(
            [
                self._rng.choice(self._frame[name].dropna().to_numpy(), 1)[0]
                if self._frame[name].notna().any()
                else 0.0
                for name in names
            ]
        )

    def _bisect(
        self, rows: pd.DataFrame, names: Sequence[str], low: Floats, high: Floats
    ) -> tuple[Floats, Floats]:
        at_low, at_high = (self._score_with(rows, names, values) for values in (low, high))
        for _ in range(70):
            middle = low + (high - low) / 2
            is_open = (middle != low) & (middle != high)
            at_middle = self._score_with(rows, names, middle)
            if not is_open.any() or at_low is None or at_high is None or at_middle is None:
                break
            is_left = np.abs(at_middle - at_low).max(axis=1) >= np.abs(at_high - at_middle).max(axis=1)
            to_left, to_right = is_open & is_left, is_open & ~is_left
            high, at_high = np.where(to_left, middle, high), np.where(to_left[:, None], at_middle, at_high)
            low, at_low = np.where(to_right, middle, low), np.where(to_right[:, None], at_middle, at_low)
        return low, high

    def _score_with(self, rows: pd.DataFrame, names: Sequence[str], values: Floats) -> Floats | None:
        scores = self._scores(_assigned(rows, names, values))
        return None if scores is None else scores.reshape(len(rows), -1)

    # --- the end -------------------------------------------------------------------------------------

    def golden(self, positive: int, threshold: float) -> Golden:
        """Ask the pipeline about all rows; row by row where it refuses some."""
        rows = pd.concat([part for part in self._rows if len(part)], ignore_index=True)
        expected = self._scores(rows)
        if expected is None:
            answers = [self._scores(rows.iloc[[i]]) for i in range(len(rows))]
            rows = rows[[answer is not None for answer in answers]]
            expected = np.concatenate([answer for answer in answers if answer is not None])
        numbers, texts = self._arrays(rows)
        return Golden(numbers, texts, expected, positive, threshold)

    def _scores(self, rows: pd.DataFrame) -> Floats | None:
        try:
            return self._predictor.scores(*self._arrays(rows))
        except UnscorableRowsError:
            return None

    def _arrays(self, rows: pd.DataFrame) -> tuple[Floats, Any]:
        numbers = rows[self._numbers].to_numpy(dtype=np.float64)
        texts = rows[self._texts].astype(object).fillna("").to_numpy(dtype=object) if self._texts else None
        return numbers, texts


def _assigned(rows: pd.DataFrame, names: Sequence[str], values: Floats) -> pd.DataFrame:
    """Return the rows with value i in column ``names[i]`` of row i."""
    changed = rows.copy()
    for name in set(names):
        chosen = np.flatnonzero([other == name for other in names])
        changed.loc[chosen, name] = values[chosen]
    return changed


def _extremes(seen: Floats) -> tuple[float, ...]:
    known = seen[~np.isnan(seen)]
    return (float(known.min()), float(known.max())) if len(known) else ()
