"""Rows unlike any that training had: how far a row lies from the nearest of a sample of training rows.

Each number becomes the normal score of its rank among the training rows, so that long tails and units do not
matter, going on beyond the largest and smallest one in steps of their spread; then correlations are taken out
(Mahalanobis' distance), so a combination can be odd whose parts are not. A category, or a gap, that differs
adds as much as two usual values of a number do. Distances to nearest neighbours tell outliers better than
most (Ramaswamy, Rastogi and Shim 2000; Campos et al. 2016, "On the evaluation of unsupervised outlier
detection"). The limit is a conformal one: of rows like those of training, the stated share is flagged.

Texts that are names, each row with its own, say nothing here. Light: numpy only.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.columns import RowWarning

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
Codes = NDArray[np.int32]

N_NEIGHBOURS = 500
MAX_CALIBRATION = 4_000
N_KNOTS = 33
RIDGE = 0.05
MISMATCH = 2.0
FARTHEST = 20.0
# Where rows are too few for the share, the limit is so many times the largest distance among them.
SLACK = 1.5
# A row that differs in one category only is not far.
LEAST_LIMIT = 1.5
CHUNK = 1 << 20
CODE = "out_of_distribution"


class NumberScale(msgspec.Struct, frozen=True):
    """How one number becomes a normal score."""

    name: str
    position: int
    values: list[float]
    scores: list[float]
    spread: float
    can_miss: bool


class Novelty(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a version: scales, a sample of training rows as points, and the limit."""

    share: float
    limit: float
    numbers: list[NumberScale]
    texts: dict[str, int]
    categories: list[list[str]]
    unmixing: list[list[float]]
    points: list[list[float]]
    codes: list[list[int]]

    def to_bytes(self) -> bytes:
        """Return the part."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Novelty":
        """Read what ``to_bytes`` wrote."""
        return msgspec.msgpack.decode(content, type=cls)


class Detector:
    """Finds rows that are far from all training rows; safe to use from several threads at once."""

    def __init__(self, learnt: Novelty) -> None:
        self._learnt = learnt
        width, n_points = len(learnt.numbers), len(learnt.codes)
        self._unmixing = np.array(learnt.unmixing, dtype=np.float64).reshape(width, width)
        self._raw = np.array(learnt.points, dtype=np.float64).reshape(n_points, width)
        self._points = self._raw @ self._unmixing
        self._norms = (self._points**2).sum(axis=1)
        self._codes = np.array(learnt.codes, dtype=np.int32).reshape(n_points, len(self._columns))
        scales = learnt.numbers
        self._positions = np.array([scale.position for scale in scales], dtype=np.intp)
        self._knots = [(np.array(scale.values), np.array(scale.scores)) for scale in scales]
        self._first = np.array([scale.values[0] for scale in scales])
        self._last = np.array([scale.values[-1] for scale in scales])
        self._spread = np.array([scale.spread for scale in scales])
        self._known: list[Mapping[str, int]] = [
            {text: code for code, text in enumerate(texts)} for texts in learnt.categories
        ]

    def warnings(self, numbers: Floats, texts: Texts | None) -> list[RowWarning | None]:
        """Return a warning for each row that is far from all training rows, None for the others.

        Parameters
        ----------
        numbers, texts : ndarray
            As a predictor gets them.
        """
        raw, codes = self._embedded(numbers, texts)
        distance, nearest = self._nearest(raw, codes)
        limit = self._learnt.limit
        found: list[RowWarning | None] = [None] * len(raw)
        for row in np.flatnonzero(distance > limit):
            found[row] = self._warning(raw[row], codes[row], int(nearest[row]), float(distance[row]))
        return found

    def distances(self, numbers: Floats, texts: Texts | None, *, is_among: bool = False) -> Floats:
        """Return the distance to the nearest training row; with ``is_among`` to the nearest other one."""
        raw, codes = self._embedded(numbers, texts)
        return self._nearest(raw, codes, is_among=is_among)[0]

    def _warning(self, raw: Floats, codes: Codes, nearest: int, distance: float) -> RowWarning:
        name = self._farthest(raw, codes, nearest)
        detail = (
            f"This row is far from all training rows, most of all in {name!r}: {distance:.3g} from the"
            f" nearest, where {1 - self._learnt.share:.4g} of such rows are within {self._learnt.limit:.3g}."
        )
        return RowWarning(CODE, name, detail)

    def _farthest(self, raw: Floats, codes: Codes, nearest: int) -> str:
        """Return the feature in which the row differs most from its nearest neighbour."""
        names = [number.name for number in self._learnt.numbers] + self._columns
        gaps = [*((raw - self._raw[nearest]) ** 2), *(MISMATCH * (codes != self._codes[nearest]))]
        return names[int(np.argmax(gaps))]

    @property
    def _columns(self) -> list[str]:
        """Names behind the codes: numbers that can be missing, then texts."""
        return [number.name for number in self._learnt.numbers if number.can_miss] + list(self._learnt.texts)

    def _embedded(self, numbers: Floats, texts: Texts | None) -> tuple[Floats, Codes]:
        scales = self._learnt.numbers
        columns = [numbers[:, scale.position] for scale in scales]
        raw = self._normal_scores(numbers)
        codes: list[NDArray[Any]] = [
            np.isnan(column) for scale, column in zip(scales, columns, strict=True) if scale.can_miss
        ]
        codes += self._text_codes(texts)
        return raw, np.column_stack(codes).astype(np.int32) if codes else np.empty((len(raw), 0), np.int32)

    def _normal_scores(self, numbers: Floats) -> Floats:
        """Return normal scores, 0 where missing, shape (n_rows, n_scales)."""
        columns = numbers[:, self._positions]
        raw = np.empty(columns.shape)
        for i, (values, scores) in enumerate(self._knots):
            raw[:, i] = np.interp(columns[:, i], values, scores)
        raw += (columns - np.minimum(np.maximum(columns, self._first), self._last)) / self._spread
        raw = np.minimum(np.maximum(raw, -FARTHEST), FARTHEST)
        raw[np.isnan(raw)] = 0.0
        return raw

    def _text_codes(self, texts: Texts | None) -> list[Codes]:
        """Return a column of codes a category; -1 for what training never had, and for gaps."""
        if texts is None:
            return []
        pairs = zip(self._known, self._learnt.texts.values(), strict=True)
        return [
            np.array([known.get(text, -1) for text in texts[:, i].tolist()], dtype=np.int32)
            for known, i in pairs
        ]

    def _nearest(
        self, raw: Floats, codes: Codes, *, is_among: bool = False
    ) -> tuple[Floats, NDArray[np.intp]]:
        n_rows = max(1, CHUNK // len(self._points))
        parts = [
            self._nearest_of(raw[i : i + n_rows], codes[i : i + n_rows], is_among=is_among)
            for i in range(0, len(raw), n_rows)
        ]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _nearest_of(self, raw: Floats, codes: Codes, *, is_among: bool) -> tuple[Floats, NDArray[np.intp]]:
        here = raw @ self._unmixing
        squares = self._norms - 2 * (here @ self._points.T) + (here**2).sum(axis=1)[:, None]
        for column in range(codes.shape[1]):
            squares += MISMATCH * (codes[:, column, None] != self._codes[:, column])
        nearest = squares.argmin(axis=1)
        if is_among:
            squares[np.arange(len(raw)), nearest] = np.inf
            nearest = squares.argmin(axis=1)
        return np.sqrt(np.maximum(squares[np.arange(len(raw)), nearest], 0)), nearest


def learn(
    share: float,
    numbers: Floats,
    texts: Texts | None,
    names: tuple[Sequence[str], Sequence[str]],
    categories: Mapping[str, Sequence[str]],
    seed: int = 0,
) -> Novelty | None:
    """Learn what rows are like; None where no feature can tell.

    Parameters
    ----------
    share : float
        Of rows like these, so many may be flagged all the same.
    numbers, texts : ndarray
        Training rows, as a predictor gets them.
    names : (sequence of str, sequence of str)
        Names of their columns.
    categories : mapping of str to sequence of str
        The known values of the texts that are categories.
    """
    scales = [_scale(name, i, numbers[:, i]) for i, name in enumerate(names[0])]
    used = [scale for scale in scales if scale is not None]
    positions = {name: i for i, name in enumerate(names[1]) if categories.get(name)}
    if not used and not positions:
        return None
    rows = np.random.default_rng(seed).permutation(len(numbers))
    near, others = rows[:N_NEIGHBOURS], rows[N_NEIGHBOURS : N_NEIGHBOURS + MAX_CALIBRATION]
    learnt = _sample(share, used, positions, [list(categories[name]) for name in positions])
    learnt = _with_points(learnt, *_taken(near, numbers, texts))
    return _with_limit(learnt, _taken(near, numbers, texts), _taken(others, numbers, texts))


def _taken(rows: NDArray[np.intp], numbers: Floats, texts: Texts | None) -> tuple[Floats, Texts | None]:
    return numbers[rows], None if texts is None else texts[rows]


def _scale(name: str, position: int, column: Floats) -> NumberScale | None:
    present = np.sort(column[np.isfinite(column)])
    if len(present) < 2 or present[0] == present[-1]:
        return None
    values = np.unique(np.quantile(present, np.linspace(0, 1, N_KNOTS)))
    ranks = (np.searchsorted(present, values, "left") + np.searchsorted(present, values, "right")) / 2
    scores = _normal_quantile(np.clip(ranks / len(present), 0.5 / len(present), 1 - 0.5 / len(present)))
    low, high = np.quantile(present, [0.01, 0.99])
    spread = float(np.std(np.clip(present, low, high))) or float(np.ptp(present))
    can_miss = bool(len(present) < len(column))
    return NumberScale(name, position, values.tolist(), scores.tolist(), spread, can_miss)


def _normal_quantile(p: Floats) -> Floats:
    """Return the quantiles of the normal distribution."""
    from statistics import NormalDist  # here, as only training needs it

    normal = NormalDist()
    return np.array([normal.inv_cdf(float(one)) for one in p])


def _sample(
    share: float, scales: list[NumberScale], positions: dict[str, int], categories: list[list[str]]
) -> Novelty:
    identity = np.eye(len(scales)).tolist()
    return Novelty(
        share=share, limit=math.inf, numbers=scales, texts=positions, categories=categories,
        unmixing=identity, points=[], codes=[],
    )  # fmt: skip


def _with_points(learnt: Novelty, numbers: Floats, texts: Texts | None) -> Novelty:
    raw, codes = Detector(learnt)._embedded(numbers, texts)
    points, codes_list = np.round(raw, 6), codes.tolist()
    unmixing = learnt.unmixing
    if raw.shape[1]:
        covariance = np.atleast_2d(np.cov(raw, rowvar=False)) + RIDGE * np.eye(raw.shape[1])
        # With C = L L', the rows of z (L')^-1 are uncorrelated.
        unmixing = np.linalg.inv(np.linalg.cholesky(covariance)).T.tolist()
    return msgspec.structs.replace(learnt, points=points.tolist(), codes=codes_list, unmixing=unmixing)


def _with_limit(
    learnt: Novelty, near: tuple[Floats, Texts | None], others: tuple[Floats, Texts | None]
) -> Novelty:
    detector = Detector(learnt)
    distances = detector.distances(*near, is_among=True)
    if len(others[0]):
        distances = np.concatenate([distances, detector.distances(*others)])
    rank = math.ceil((len(distances) + 1) * (1 - learnt.share))
    ordered: Any = np.sort(distances)
    limit = ordered[rank - 1] if rank <= len(ordered) else SLACK * ordered[-1]
    return msgspec.structs.replace(learnt, limit=max(float(limit), LEAST_LIMIT))
