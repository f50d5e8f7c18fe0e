"""Choosing golden rows: sampled training rows, and the edges at which two implementations would part.

Heavy (pandas, and the pipeline's own predictions); ``model.golden`` stores and replays what is made here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.fallback import SklearnPredictor
from model.golden import Golden
from model.predictor import Floats, UnscorableRowsError

UNSEEN = "a category that no training row has"

Range = tuple[float | None, float | None]
Ask = Callable[[pd.DataFrame], Floats]


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
        Searches for a jump (a tree's threshold, a bin's edge); each that finds one adds two rows, with the
        neighbouring doubles on its sides.
    positive, threshold : int, float
        See ``Golden``.
    seed : int, default=0

    Returns
    -------
    golden : Golden
        A few hundred rows. Left out are rows that the pipeline refuses (such as an unseen category where the
        encoder raises) or answers by something that is no finite number.
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
        names = [name for name in self._numbers if self._frame[name].nunique() > 1]
        if not names:
            return
        search = _Search(self._draw(n_searches), [names[i % len(names)] for i in range(n_searches)])
        low, high = (self._values_of(search.names) for _ in range(2))
        found = search.run(low, high, self._scores)
        self._rows.extend(found)

    def _values_of(self, names: Sequence[str]) -> Floats:
        known = {name: self._frame[name].dropna().to_numpy() for name in set(names)}
        return np.array([self._rng.choice(known[name]) for name in names], dtype=np.float64)

    # --- the end -------------------------------------------------------------------------------------

    def golden(self, positive: int, threshold: float) -> Golden:
        """Ask the pipeline about all rows; row by row where it refuses some."""
        rows = pd.concat([part for part in self._rows if len(part)], ignore_index=True)
        expected = self._answers(rows)
        is_kept = np.isfinite(expected).reshape(len(rows), -1).all(axis=1)
        kept = np.flatnonzero(is_kept)
        numbers, texts = self._arrays(rows.iloc[kept])
        n_usual = int(np.searchsorted(kept, len(self._rows[0])))
        return Golden(numbers, texts, expected[kept], n_usual, positive, threshold)

    def _answers(self, rows: pd.DataFrame) -> Floats:
        """Return scores, NaN for the rows that the pipeline refuses."""
        try:
            return self._scores(rows)
        except UnscorableRowsError:
            if len(rows) == 1:
                return np.full_like(self._scores(self._frame.iloc[:1]), np.nan)
            return np.concatenate([self._answers(rows.iloc[[i]]) for i in range(len(rows))])

    def _scores(self, rows: pd.DataFrame) -> Floats:
        return self._predictor.scores(*self._arrays(rows))

    def _arrays(self, rows: pd.DataFrame) -> tuple[Floats, Any]:
        numbers = rows[self._numbers].to_numpy(dtype=np.float64)
        texts = rows[self._texts].astype(object).fillna("").to_numpy(dtype=object) if self._texts else None
        return numbers, texts


class _Search:
    """Bisections, one a row, each over one of the row's numbers, all at once.

    Parameters
    ----------
    rows : DataFrame
        What surrounds the number.
    names : list of str
        Which number of each row is moved.
    """

    N_STEPS = 80
    # After so many halvings a smooth score hardly changes any more, and a jump still does.
    N_BEFORE_LOOK, SMOOTH = 30, 1e-7

    def __init__(self, rows: pd.DataFrame, names: list[str]) -> None:
        self.rows = rows
        self.names = names

    def run(self, low: Floats, high: Floats, ask: Ask) -> list[pd.DataFrame]:
        """Return the rows just below and just above the jumps that were found."""
        try:
            low, high, gap = self._narrowed(low, high, ask)
        except UnscorableRowsError:
            return []
        return [_assigned(self.rows, self.names, values).iloc[gap] for values in (low, high)]

    def _narrowed(self, low: Floats, high: Floats, ask: Ask) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Halve all intervals until their ends are neighbours; return the ends, and which still jump."""
        at_low, at_high = (self._ask(ask, values) for values in (low, high))
        for step in range(self.N_STEPS):
            middle = low + (high - low) / 2
            if not ((middle != low) & (middle != high)).any():
                break
            if step == self.N_BEFORE_LOOK and not self._jumps(at_low, at_high).any():
                break
            at_middle = self._ask(ask, middle)
            is_left = _gap(at_middle, at_low) >= _gap(at_high, at_middle)
            high, at_high = np.where(is_left, middle, high), np.where(is_left[:, None], at_middle, at_high)
            low, at_low = np.where(is_left, low, middle), np.where(is_left[:, None], at_low, at_middle)
        return low, high, np.flatnonzero(self._jumps(at_low, at_high))

    def _jumps(self, at_low: Floats, at_high: Floats) -> NDArray[np.bool_]:
        return np.asarray(_gap(at_low, at_high) > self.SMOOTH * np.abs(at_low).max(initial=1e-300))

    def _ask(self, ask: Ask, values: Floats) -> Floats:
        return ask(_assigned(self.rows, self.names, values)).reshape(len(values), -1)


def _gap(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.abs(one - other).max(axis=1))


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
