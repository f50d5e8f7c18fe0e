"""What training looked like for one model version: all features and outputs, and which of them go together.

A ``ModelReference`` is part of a version's artifact (``reference.bin``). It counts logged columns into
``ModelCounts``, which add up and are kept as one small binary per feature and hour. Nothing here decides
anything.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from model.monitoring.cells import MAX_CELLS, Cells, Counts, total
from model.monitoring.columns import Column, NumberColumn
from model.monitoring.feature import FeatureReference, Kind, Range, fit_feature
from model.monitoring.joint import JointReference, fit_joint
from model.monitoring.packing import unpack_rows
from model.monitoring.pairs import PAIRS, PairReference, fit_pairs
from model.monitoring.reference_file import read_reference, write_reference
from model.monitoring.segments import SEGMENTS, SegmentReference, fit_segments

PREDICTION = "@prediction"  # the predicted class (category) or value (number)
PROBABILITY = "@probability"  # probability of the positive class
_THREADS_FROM = 50_000


@dataclass(frozen=True)
class ModelCounts:
    """Counts of all features and outputs, and of pairs, over some rows, by name; they add up."""

    parts: Mapping[str, Counts]

    @property
    def n_rows(self) -> int:
        """Rows counted."""
        # Every feature counts every row, so the first tells all.
        return next((counts.n_rows for name, counts in self.parts.items() if name != PAIRS), 0)

    def __add__(self, other: "ModelCounts") -> "ModelCounts":
        if self.parts.keys() != other.parts.keys():
            raise ValueError("counts of different models do not add up")
        return ModelCounts({name: counts + other.parts[name] for name, counts in self.parts.items()})

    def to_parts(self) -> dict[str, bytes]:
        """Return one packed binary a name."""
        return {name: counts.to_bytes() for name, counts in self.parts.items()}


@dataclass(frozen=True)
class ModelReference:
    """References of all features and outputs of one model version, by name.

    ``pairs`` and ``joint`` say how features go together, ``segments`` how they are in parts of the rows.
    """

    features: Mapping[str, FeatureReference] = field(default_factory=dict)
    pairs: PairReference | None = None
    joint: JointReference | None = None
    segments: Mapping[str, SegmentReference] = field(default_factory=dict)

    @staticmethod
    def fit(
        columns: Mapping[str, Column],
        kinds: Mapping[str, Kind],
        *,
        ranges: Mapping[str, Range] | None = None,
        units: Mapping[str, str] | None = None,
        segments: Iterable[str] = (),
        max_cells: int = MAX_CELLS,
    ) -> "ModelReference":
        """Learn the reference from training columns.

        Parameters
        ----------
        columns : mapping of name to sequence or array, all of one length
            Training features under their names; outputs of the model on rows it was not fitted on under
            ``PREDICTION`` and ``PROBABILITY``.
        kinds : mapping of name to "number", "category" or "date"
            Which columns to watch, in the order of reports. Others are left out.
        ranges : mapping of name to (low, high), optional
            Allowed range of a number; None leaves an end open to what training saw.
        units : mapping of name to unit, optional
            For sentences, such as "bpm".
        segments : iterable of str, optional
            Categories whose values make segments.
        max_cells : int
            Most borders a number, and most categories a category, may have.
        """
        ranges, units = ranges or {}, units or {}
        features = {
            name: fit_feature(
                name, kind, columns[name], ranges.get(name, (None, None)), units.get(name, ""), max_cells
            )
            for name, kind in kinds.items()
        }
        return ModelReference(
            features,
            fit_pairs(features.values(), columns),
            fit_joint(features.values(), columns),
            fit_segments(segments, _inputs(features), columns),
        )

    def with_outputs(self, outputs: "ModelReference") -> "ModelReference":
        """Return this reference with outputs that were fitted on rows of their own, say held-out ones."""
        return replace(self, features={**self.features, **outputs.features})

    @property
    def counts(self) -> ModelCounts:
        """Training counts."""
        found = {name: feature.counts for name, feature in self.features.items()}
        found |= {PAIRS: self.pairs.counts} if self.pairs else {}
        found |= {name: score.counts for name, score in self._scores.items()}
        return ModelCounts(found | {SEGMENTS + name: one.counts for name, one in self.segments.items()})

    @property
    def _scores(self) -> Mapping[str, FeatureReference]:
        return self.joint.scores if self.joint else {}

    def count(self, columns: Mapping[str, Column]) -> ModelCounts:
        """Count logged rows, given column by column and all of one length.

        A feature that is not among ``columns`` is counted as missing in every row; columns of unknown names
        are ignored. No value raises: what cannot be read is a type fault.

        Raises
        ------
        ValueError
            If columns differ in length.
        """
        n_rows = _n_rows(columns)
        nothing = [None] * n_rows
        read = {name: one.read(columns.get(name, nothing)) for name, one in self.features.items()}
        jobs = {name: partial(one.cells.count, read[name]) for name, one in self.features.items()}
        if self.pairs:
            jobs[PAIRS] = partial(self.pairs.cells.count, read)
        if self.joint:
            for name, column in self.joint.scored(read).items():
                jobs[name] = partial(self._scores[name].cells.count, column)
        for name, one in self.segments.items():
            jobs[SEGMENTS + name] = partial(one.cells.count, read)
        with _workers(n_rows) as run:
            return ModelCounts(dict(zip(jobs, run(lambda job: job(), jobs.values()), strict=True)))

    def counts_from(self, parts: Mapping[str, bytes]) -> ModelCounts:
        """Read counts kept by ``ModelCounts.to_parts``; names without a binary have zeros.

        Raises
        ------
        IntegrityError
            If a binary is broken.
        ValueError
            If it was counted with the cells of another version.
        """
        return ModelCounts(
            {
                name: total(cells, [Counts.from_bytes(parts[name])] if name in parts else [])
                for name, cells in self._cells().items()
            }
        )

    def matrices_from(self, rows: Sequence[Mapping[str, bytes] | None]) -> dict[str, NDArray[Any]]:
        """Read many counts kept by ``ModelCounts.to_parts``, or None where there are none, a matrix a name.

        Each has the shape (n_rows, n_counts). Raises as ``counts_from`` does.
        """
        return {
            name: unpack_rows(
                [None if row is None else row.get(name) for row in rows], cells.layout, cells.n_counts
            )
            for name, cells in self._cells().items()
        }

    @property
    def layouts(self) -> dict[str, int]:
        """Checksum of the cells of each part."""
        return {name: cells.layout for name, cells in self._cells().items()}

    def total(self, counts: Iterable[ModelCounts]) -> ModelCounts:
        """Add up any number of counts, none giving zeros."""
        listed = list(counts)
        return ModelCounts(
            {
                name: total(cells, [one.parts[name] for one in listed if name in one.parts])
                for name, cells in self._cells().items()
            }
        )

    def rebased(self, counts: ModelCounts) -> "ModelReference":
        """Return a reference with the same cells whose normal is ``counts`` instead of training.

        For counts of the first weeks, of the same hour of earlier weeks, or of a window that somebody
        accepted as the new normal. The error that thinned cells bring is that of the new counts
        (``ks_error``).
        """
        parts = counts.parts
        features = {name: replace(one, counts=parts[name]) for name, one in self.features.items()}
        pairs = replace(self.pairs, counts=parts[PAIRS]) if self.pairs else None
        scores = {name: replace(one, counts=parts[name]) for name, one in self._scores.items()}
        joint = replace(self.joint, scores=scores) if self.joint else None
        segments = {n: replace(one, counts=parts[SEGMENTS + n]) for n, one in self.segments.items()}
        return ModelReference(features, pairs, joint, segments)

    def without(self, names: Collection[str]) -> "ModelReference":
        """Return the reference less some features; pairs go with any of them."""
        if not names:
            return self
        left = {name: feature for name, feature in self.features.items() if name not in names}
        return ModelReference(left, None)

    def to_bytes(self) -> bytes:
        """Return the artifact part ``reference.bin`` (see ``reference_file`` for its form)."""
        return write_reference(self.features.values(), self.pairs, self.joint, self.segments.values())

    @staticmethod
    def from_bytes(data: bytes) -> "ModelReference":
        """Read what ``to_bytes`` wrote; raises ``IntegrityError`` on anything else."""
        features, pairs, joint, segments = read_reference(data)
        return ModelReference(
            {feature.name: feature for feature in features},
            pairs,
            joint,
            {one.cells.name: one for one in segments},
        )

    def _cells(self) -> dict[str, Cells]:
        found: dict[str, Cells] = {name: feature.cells for name, feature in self.features.items()}
        found |= {PAIRS: self.pairs.cells} if self.pairs else {}
        found |= {name: score.cells for name, score in self._scores.items()}
        return found | {SEGMENTS + name: one.cells for name, one in self.segments.items()}


def _inputs(features: Mapping[str, FeatureReference]) -> dict[str, FeatureReference]:
    return {name: feature for name, feature in features.items() if not feature.is_output}


@contextmanager
def _workers(n_rows: int) -> Iterator[Callable[..., Iterable[Counts]]]:
    # NumPy lets go of the interpreter while it sorts, so threads help; for few rows they cost more.
    if n_rows < _THREADS_FROM:
        yield map
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield pool.map


def _n_rows(columns: Mapping[str, Column]) -> int:
    lengths = {
        len(column.rows) if isinstance(column, NumberColumn) else len(column) for column in columns.values()
    }
    if len(lengths) > 1:
        raise ValueError(f"columns have different lengths: {sorted(lengths)}")
    return max(lengths, default=0)
