"""The light predictor: what it imports, feeds, cuts and leaves to the pipeline."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from model.compiling.compilation import build
from model.fallback import SklearnPredictor
from model.predictor import CompiledPredictor, UnscorableRowsError
from tests.unit import compiling_catalog as catalog

HEAVY = ("sklearn", "scipy", "pandas", "joblib", "skl2onnx", "onnx")


@pytest.fixture(scope="module")
def fitted() -> tuple[Any, pd.DataFrame]:
    return catalog.fitted(catalog.PREPS["standard"], catalog.CLASSIFIERS["hist boosting"], 2, seed=1)


def strict_pipeline() -> Any:
    """Return a pipeline that refuses categories which training did not see."""
    frame = pd.DataFrame({"color": pd.Series(["red", "blue"] * 10, dtype=object)})
    return make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1] * 10)


def test_predictor_and_golden_import_nothing_heavy() -> None:
    code = f"import sys, model.predictor, model.golden; print([m for m in {HEAVY!r} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_long_batch_is_cut_without_a_difference(fitted: tuple[Any, pd.DataFrame]) -> None:
    pipeline, frame = fitted
    predictor = CompiledPredictor(build(pipeline, catalog.COLUMNS, catalog.TEXTS))
    numbers, texts = catalog.arrays(catalog.probes(frame, 300, seed=2))
    whole = predictor.scores(numbers, texts)

    predictor._rows_at_once = 7

    assert np.array_equal(predictor.scores(numbers, texts), whole)


def test_no_rows_give_no_scores(fitted: tuple[Any, pd.DataFrame]) -> None:
    predictor = CompiledPredictor(build(fitted[0], catalog.COLUMNS, catalog.TEXTS))

    scores = predictor.scores(np.empty((0, 4)), np.empty((0, 2), dtype=object))

    assert scores.shape == (0, 2)


def test_threads_share_one_predictor(fitted: tuple[Any, pd.DataFrame]) -> None:
    pipeline, frame = fitted
    predictor = CompiledPredictor(build(pipeline, catalog.COLUMNS, catalog.TEXTS))
    batches = [catalog.arrays(catalog.probes(frame, 20, seed)) for seed in range(40)]
    alone = [predictor.scores(*batch) for batch in batches]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda batch: predictor.scores(*batch), batches))

    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_a_row_that_the_graph_leaves_open_goes_to_the_pipeline() -> None:
    pipeline, frame = catalog.fitted(catalog.PREPS["binary"], catalog.CLASSIFIERS["neighbours"], 3, seed=1)
    slow = SklearnPredictor(pipeline, catalog.COLUMNS, catalog.TEXTS)
    loads: list[int] = []
    fast = CompiledPredictor(
        build(pipeline, catalog.COLUMNS, catalog.TEXTS), fallback=lambda: loads.append(1) or slow
    )
    rows = catalog.arrays(catalog.probes(frame, 60, seed=2))

    scores = [fast.scores(*rows), fast.scores(*rows)]

    assert np.isnan(fast.own_scores(*rows)).any()
    assert loads == [1]
    np.testing.assert_allclose(scores, [slow.scores(*rows)] * 2, atol=1e-9)


def test_a_row_that_nobody_can_score_is_refused() -> None:
    pipeline = strict_pipeline()
    slow = SklearnPredictor(pipeline, ["color"], ["color"])
    fast = CompiledPredictor(build(pipeline, ["color"], ["color"]), fallback=lambda: slow)
    rows = np.array([["red"], ["green"]], dtype=object)

    for predictor in (slow, fast):
        with pytest.raises(UnscorableRowsError, match="green"):
            predictor.scores(np.empty((2, 0)), rows)


def test_without_a_fallback_an_open_row_is_refused() -> None:
    predictor = CompiledPredictor(build(strict_pipeline(), ["color"], ["color"]))

    with pytest.raises(UnscorableRowsError, match="1 of these rows"):
        predictor.scores(np.empty((2, 0)), np.array([["red"], ["green"]], dtype=object))
