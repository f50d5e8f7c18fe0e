"""From a file to the text of a spec: every column looked at, every guess told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from model import frame
from model.columns import EPOCH
from model.drafting.doubts import Doubt
from model.drafting.identifiers import identifiers, is_key
from model.drafting.kinds import Kind, kind_of
from model.drafting.leaks import known_later, leaks, too_good
from model.drafting.reading import RawTable, read
from model.drafting.targets import Goal, goal_of
from model.drafting.writing import spec_text
from model.frame import Rows
from model.spec import Feature, Spec
from utils.errors import TableError

# A category that pandas, and so many a client, takes for missing.
NONE = "None"
# What answers of a drafted model say beyond the prediction; see Spec.
INTERVALS, NOVELTY = 0.9, 0.001


@dataclass(frozen=True)
class Draft:
    """A spec, its text with comments, and what is doubtful about it."""

    spec: Spec
    text: str
    doubts: tuple[Doubt, ...]
    n_rows: int


def draft(path: Path, target: str, name: str, train: str) -> Draft:
    """Draft the spec of a model from a file.

    Parameters
    ----------
    path : Path
        CSV (also compressed) or Parquet file.
    target : str
        Column to predict.
    name : str
        Name of the model.
    train : str
        How the spec names the file, relative to where the spec will be.

    Raises
    ------
    TableError
        If the file cannot be read, lacks the target, or has nothing to learn from.
    """
    table = read(path, train)
    if target not in table.cells:
        columns = ", ".join(map(str, table.cells.columns[:30]))
        raise TableError(f"{path.name} has no column {target!r}. It has: {columns}.")
    return _Drafting(table, target, name, path.name).draft()


class _Drafting:
    """One draft: the table, and what was found out about it so far."""

    def __init__(self, table: RawTable, target: str, name: str, source: str) -> None:
        self._cells, self._data, self._name, self._source = table.cells, table.data, name, source
        self._goal: Goal = goal_of(target, self._cells[target], self._data.decimal)
        self._doubts = [*table.doubts, *self._goal.doubts]
        self._notes: dict[str, str] = {}  # what was seen in a column
        self._left_out: dict[str, str] = {}  # columns that are no features, with a reason
        self._id: str | None = None

    def draft(self) -> Draft:
        """Look at every column, leave suspects out, and write."""
        features = self._features()
        features = self._without_leaks(features) or features
        self._look_at_names(features)
        spec = self._spec(features)
        self._look_at_all(spec)
        self._look_at_values(spec)
        heading = (
            f"Drafted from {self._source} ({len(self._cells)} rows). Change what is wrong, and train it."
        )
        notes = self._notes | self._left_out
        return Draft(
            spec, spec_text(spec, heading, notes, self._doubts), tuple(self._doubts), len(self._cells)
        )

    def _features(self) -> dict[str, Feature]:
        """Take the columns that may be features; constants and names of rows are left out."""
        labels = frozenset(map(str, self._goal.target.classes or ()))
        names = [str(name) for name in self._cells if name != self._goal.target.name]
        kinds = {n: kind_of(n, self._cells[n], self._data.decimal, labels) for n in names}
        self._agree_on_gaps(kinds)
        self._left_out |= {name: kind.words for name, kind in kinds.items() if kind.feature is None}
        self._leave_out_identifiers(kinds)
        kept = {n: kind.feature for n, kind in kinds.items() if kind.feature and n not in self._left_out}
        if not kept:
            raise TableError(f"{self._source}: no column is left to learn {self._goal.target.name!r} from.")
        self._doubts += [doubt for name in kept for doubt in kinds[name].doubts]
        return {name: self._with_gaps(name, feature) for name, feature in kept.items()}

    def _agree_on_gaps(self, kinds: Mapping[str, Kind]) -> None:
        """Let what stands for a gap in one column do so in all, as a spec has one list of them."""
        gaps = [gap for kind in kinds.values() for gap in kind.gaps]
        words = tuple(dict.fromkeys([*self._data.missing_values, *gaps, *self._goal.gaps]))
        self._data = msgspec.structs.replace(self._data, missing_values=words)
        self._cells = self._cells.mask(self._cells.isin(words))

    def _leave_out_identifiers(self, kinds: Mapping[str, Kind]) -> None:
        found = identifiers(self._cells, kinds)
        self._id = next((name for name in found if is_key(name)), next(iter(found), None))
        self._left_out |= found
        self._doubts += [Doubt("identifier", name, f"{why}; not a feature.") for name, why in found.items()]

    def _with_gaps(self, name: str, feature: Feature) -> Feature:
        words = self._data.missing_values
        known = feature.categories
        return msgspec.structs.replace(
            feature,
            missing=bool(self._cells[name].isna().any()) or NONE in (known or ()),
            categories=None if known is None else tuple(text for text in known if text not in words),
        )

    def _without_leaks(self, features: dict[str, Feature]) -> dict[str, Feature]:
        spec = self._spec(features)
        found = leaks(spec, self._rows(spec))
        self._doubts += [
            Doubt("leak", n, f"{why}: left out as a suspected leak.") for n, why in found.items()
        ]
        kept = {name: feature for name, feature in features.items() if name not in found}
        if kept:
            self._left_out |= found
        return kept

    def _look_at_names(self, features: Mapping[str, Feature]) -> None:
        for name in features:
            if known_later(name):
                detail = "sounds like something known only afterwards; if so, it leaks: move it to `ignored`."
                self._doubts.append(Doubt("known_later", name, detail))

    def _rows(self, spec: Spec) -> Rows:
        return frame.labelled_rows(spec, frame.with_points(spec, self._cells))

    def _look_at_all(self, spec: Spec) -> None:
        names = too_good(spec, self._rows(spec))
        if names:
            detail = f"One tree of {', '.join(names)} is nearly always right: are they known beforehand?"
            self._doubts.append(Doubt("too_good", "", detail))

    def _spec(self, features: Mapping[str, Feature]) -> Spec:
        target = self._goal.target
        return Spec(
            name=self._name,
            description=f"Predicts {target.name}.",
            task=self._goal.task,
            target=target,
            data=self._data,
            features=dict(features),
            intervals=INTERVALS,
            novelty=NOVELTY,
            id=self._id,
            ignored=tuple(name for name in self._left_out if name != self._id),
        )

    def _look_at_values(self, spec: Spec) -> None:
        """Note for each feature what people want to know: gaps, the middle, the most frequent text."""
        table = frame.features_frame(spec, frame.with_points(spec, self._cells))
        for name, feature in spec.features.items():
            self._notes[name] = ", ".join(_seen(feature, table[name]))


def _seen(feature: Feature, column: "pd.Series[Any]") -> Iterable[str]:
    present = column.dropna()
    if len(present) < len(column):
        yield f"{1 - len(present) / len(column):.1%} missing"
    if feature.type == "date":
        first, last = (EPOCH + timedelta(days=end) for end in (present.min(), present.max()))
        yield f"{first} to {last}"
    elif feature.type != "category":
        yield f"median {present.median():g}" if feature.type != "boolean" else f"{present.mean():.1%} true"
    else:
        most = present.value_counts()
        yield f"{len(most)} different, most often {str(most.index[0])[:40]!r}"
