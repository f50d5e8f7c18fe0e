"""A fitted pipeline from elsewhere as a version: its spec drafted from a sample, its answers proven the same.

Unpickles the file that it is given, so only for files that one trusts. Nothing is fitted here.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from model import certainty, frame, resolving, splitting, training
from model.conformal import Scored
from model.drafting.doubts import Doubt
from model.drafting.drafting import INTERVALS, NOVELTY
from model.drafting.writing import spec_text
from model.evaluation import evaluate, selected
from model.fallback import score
from model.frame import UNREADABLE_FILE, Rows
from model.references import fit_reference
from model.spec import Data, Feature, Spec, Target
from model.training import Trained
from utils.errors import TableError, VigiaError

# What pandas takes for missing in a CSV file, as the pipeline's own training rows were read by it.
PANDAS_GAPS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
N_TRIED = 5
HALF = 0.5  # the threshold of an imported classifier, as of its own predict


WARNING = """\
WARNING: {} is unpickled now. That runs whatever code is inside, with your rights.
Import only files that you made yourself or whose maker you trust."""


class ImportedPipelineError(VigiaError):
    """A file that holds no fitted pipeline, or one that cannot be served."""

    status = 422
    code = "imported_pipeline"
    title = "Pipeline that cannot be imported"


@dataclass(frozen=True)
class Imported:
    """A spec to be written, a version to be stored, and what is doubtful about them."""

    spec: Spec
    trained: Trained
    doubts: tuple[Doubt, ...]


def load(path: Path) -> Any:
    """Unpickle a fitted estimator. Raises ImportedPipelineError where there is none in the file."""
    try:
        pipeline = joblib.load(path)
    except Exception as error:
        raise ImportedPipelineError(
            f"{path}: cannot be unpickled ({type(error).__name__}: {error})."
        ) from error
    if not hasattr(pipeline, "predict"):
        raise ImportedPipelineError(f"{path}: holds a {type(pipeline).__name__}, nothing that predicts.")
    if not hasattr(pipeline, "n_features_in_"):
        raise ImportedPipelineError(f"{path}: the {type(pipeline).__name__} in it is not fitted.")
    return pipeline


def take_over(pipeline: Any, data: Path, name: str, target: str | None, train: str) -> Imported:
    """Make a version of a fitted pipeline.

    Parameters
    ----------
    pipeline : estimator
        Fitted on a DataFrame as pandas reads it, or on an array with the columns in the order of the file.
    data : Path
        CSV file with some rows like those that it was fitted on, with or without the target.
    target : str, optional
        Column of the labels; by default the one column that the pipeline does not use.
    train : str
        How the spec names the file.

    Raises
    ------
    ImportedPipelineError
        If the pipeline cannot predict the rows, or answers otherwise when they come as requests would.
    TableError
        If the file cannot be read, or lacks a column.
    """
    start = time.perf_counter()
    sample = _read(data)
    names = _features(pipeline, sample, target)
    target = target or _target(sample, names)
    named = pipeline if hasattr(pipeline, "feature_names_in_") else _with_names(pipeline)
    spec = _spec(named, sample, names, name, Target(name=target or "prediction"), train)
    table = frame.features_frame(spec, sample)
    scores = _proven(named, sample[names], table)
    spec = _with_gaps(spec, named, table)
    has_labels = target is not None
    spec = msgspec.structs.replace(spec, intervals=INTERVALS if has_labels else None, novelty=NOVELTY)
    rows = frame.labelled_rows(spec, sample) if has_labels else _rows(spec, table, scores)
    trained = _trained(spec, named, rows, has_labels, start)
    return Imported(spec, trained, tuple(_doubts(trained, has_labels)))


def text_of(imported: Imported, source: str) -> str:
    """Return the text of the spec, which says what became of the pipeline."""
    heading = f"Imported from {source}, a fitted pipeline."
    return spec_text(imported.spec, heading, {}, imported.doubts)


def _doubts(trained: Trained, has_labels: bool) -> Iterable[Doubt]:
    yield Doubt("retraining", "", "Retraining fits the default pipeline, unless `pipeline` names a function.")
    if not has_labels:
        told = "The sample has no labels, so nothing was measured, and answers have no intervals or sets."
        yield Doubt("metrics", "", f"{told} Import it with rows that have the target for these.")
    elif trained.conformal is None:
        n_rows = trained.trained_on["n_rows"]
        yield Doubt("intervals", "", f"{n_rows} labelled rows are too few for intervals or sets.")
    else:
        told = "Metrics, and intervals or sets, are those of the sample"
        yield Doubt("intervals", "", f"{told}: too good if the pipeline was fitted on these rows.")
    if trained.novelty is None:
        yield Doubt("novelty", "", "The sample cannot tell which rows are unusual.")


def _read(data: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(data)
    except FileNotFoundError:
        raise TableError(f"{data}: no such file.") from None
    except UNREADABLE_FILE as error:
        raise TableError(f"{data}: cannot be read. {' '.join(str(error).split())}") from None


def _features(pipeline: Any, sample: pd.DataFrame, target: str | None) -> list[str]:
    """Return the columns that the pipeline takes, in its order."""
    columns = [str(column) for column in sample if column != target]
    names = [str(name) for name in getattr(pipeline, "feature_names_in_", columns[: pipeline.n_features_in_])]
    lacking = [name for name in names if name not in columns]
    if lacking or len(names) < pipeline.n_features_in_:
        told = f": {', '.join(lacking)}" if lacking else f"; it takes {pipeline.n_features_in_}"
        raise TableError(f"The sample lacks columns that the pipeline was fitted on{told}.")
    return names


def _target(sample: pd.DataFrame, names: Sequence[str]) -> str | None:
    others = [str(column) for column in sample if column not in names]
    return others[0] if len(others) == 1 else None


def _with_names(pipeline: Any) -> Pipeline:
    """Let a pipeline that was fitted on an array take a DataFrame."""
    return Pipeline([("as_array", FunctionTransformer(np.asarray)), ("imported", pipeline)])


def _spec(
    pipeline: Any, sample: pd.DataFrame, names: Sequence[str], name: str, target: Target, train: str
) -> Spec:
    if is_classifier(pipeline):
        classes = tuple(np.asarray(pipeline.classes_).tolist())
        target = Target(name=target.name, classes=classes)
    return Spec(
        name=name,
        description=f"Predicts {target.name}; an imported pipeline.",
        task="classification" if is_classifier(pipeline) else "regression",
        target=target,
        data=Data(train=train, missing_values=PANDAS_GAPS),
        features={column: Feature(type=_kind(sample[column]), missing=True) for column in names},
    )


def _kind(column: "pd.Series[Any]") -> Any:
    """Return the kind that reaches the pipeline as pandas gave it: numbers as numbers, all else as texts."""
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    if pd.api.types.is_integer_dtype(column):
        return "integer"
    return "number" if pd.api.types.is_numeric_dtype(column) else "category"


def _proven(pipeline: Any, sample: pd.DataFrame, table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the scores of the sample; raises where it is answered otherwise as requests would bring it."""
    try:
        expected, found = score(pipeline, sample), score(pipeline, table)
    except Exception as error:
        raise ImportedPipelineError(
            f"The pipeline cannot predict the sample ({type(error).__name__}: {error})."
        ) from error
    is_same = (
        np.isclose(expected, found, rtol=1e-9, atol=1e-12, equal_nan=True).reshape(len(found), -1).all(axis=1)
    )
    if not is_same.all():
        row = int(np.argmin(is_same))
        raise ImportedPipelineError(
            f"The pipeline answers {int((~is_same).sum())} of {len(found)} rows otherwise when numbers come"
            f" as float64 and all else as text; row {row}: {expected[row]} became {found[row]}."
        )
    return found


def _with_gaps(spec: Spec, pipeline: Any, table: pd.DataFrame) -> Spec:
    """Allow missing values in the columns in which the pipeline takes them."""
    features = {name: _tried(feature, pipeline, table, name) for name, feature in spec.features.items()}
    return msgspec.structs.replace(spec, features=features)


def _tried(feature: Feature, pipeline: Any, table: pd.DataFrame, name: str) -> Feature:
    some = table.head(N_TRIED).copy()
    some[name] = pd.Series(np.nan, some.index, dtype=table[name].dtype)
    try:
        takes_gaps = bool(np.isfinite(score(pipeline, some)).all())
    except Exception:  # noqa: BLE001  as above
        takes_gaps = False
    return msgspec.structs.replace(feature, missing=takes_gaps or bool(table[name].isna().any()))


def _rows(spec: Spec, table: pd.DataFrame, scores: NDArray[np.float64]) -> Rows:
    """Rows without labels: the pipeline's own answers stand in for what a target looks like."""
    return Rows(table, scores.argmax(axis=1) if spec.labels else scores)


def _trained(spec: Spec, pipeline: Any, rows: Rows, has_labels: bool, start: float) -> Trained:
    resolved = resolving.resolve(spec, rows)
    scores = training.scored(pipeline, resolved, rows.features)
    golden = training.golden_of(resolved, rows.features, pipeline, HALF)
    is_held = splitting.held_out(rows, resolved.task)
    held, others = (Scored(rows.y[some], scores[some]) for some in (is_held, ~is_held))
    compiled, reason = training.compiled_of(resolved, pipeline, golden)
    return Trained(
        spec=resolved,
        pipeline=pipeline,
        metrics=selected(resolved, evaluate(resolved, rows.y, scores, HALF)) if has_labels else {},
        cross_validation={},
        threshold=HALF,
        golden=golden,
        compiled=compiled,
        not_compiled=reason,
        conformal=certainty.conformal(resolved, held, others),
        novelty=certainty.novelty(resolved, rows.features),
        additive=training.additive_of(resolved, pipeline, golden),
        reference=fit_reference(resolved, rows.features, scores, HALF),
        trained_on={"n_rows": len(rows), "n_held_out": 0, "n_unlabelled": 0, "n_incomplete": 0},
        seconds=round(time.perf_counter() - start, 3),
    )
