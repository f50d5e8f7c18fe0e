"""Pipelines that are fitted in a moment, for tests that are about something else."""

import os
import time
import uuid
from pathlib import Path

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from model.spec import Spec

HUGE = 1e12


def logistic(spec: Spec) -> Pipeline:
    """Impute, one column a category, logistic regression."""
    return make_pipeline(_prepared(spec), LogisticRegression())


def linear(spec: Spec) -> Pipeline:
    """Impute, one column a category, least squares."""
    return make_pipeline(_prepared(spec), LinearRegression())


def unknown_to_the_compiler(spec: Spec) -> Pipeline:
    """Like ``logistic``, with a step that no graph knows."""
    return make_pipeline(_prepared(spec), FunctionTransformer(abs_of_sum), LogisticRegression())


def gated(spec: Spec) -> Pipeline:
    """Like ``logistic``, but a row with a huge value waits until a file is there."""
    return make_pipeline(_prepared(spec), FunctionTransformer(wait_for_gate), LogisticRegression())


def wait_for_gate(table):
    """Say that somebody waits, and wait."""
    if table.max() >= HUGE:
        folder = Path(os.environ["GATE"])
        (folder / f"waits-{uuid.uuid4().hex}").touch()
        while not (folder / "open").exists():
            time.sleep(0.01)
    return table


def abs_of_sum(table):
    """Nobody has written this as a graph."""
    return abs(table).cumsum(axis=1)


def _prepared(spec: Spec) -> ColumnTransformer:
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer(
        [("numbers", SimpleImputer(), list(spec.numbers)), ("texts", one_hot, list(spec.texts))]
    )


def boosted(spec: Spec) -> Pipeline:
    """Impute, one column a category, a few boosted trees."""
    model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=8, early_stopping=False)
    return make_pipeline(_prepared(spec), model)
