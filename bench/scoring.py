"""Scoring by both paths: what is compiled and how exactly, and how long 1, 100 and 10,000 rows take.

    python bench/scoring.py            the times, on one thread, against the pipeline on a ready frame
    python bench/scoring.py --families the families: largest difference, rows left to the pipeline

Times are CPU time of the calling thread (both paths use one), the best of several series of each, in turns,
so that both see the same machine.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

from model.compiling import NotCompilableError
from model.compiling.compilation import build
from model.fallback import SklearnPredictor
from model.predictor import CompiledPredictor
from tests.unit import compiling_catalog as catalog

NUMBERS = [f"n{i}" for i in range(12)]
TEXTS = ["t0", "t1", "t2"]
SIZES = (1, 100, 10_000)


def rows(n_rows: int = 20_000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Return 15 columns, three of them text with 3, 8 and 25 words, some values missing; and two classes."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=n_rows) for name in NUMBERS})
    for name, n_words in zip(TEXTS, (3, 8, 25), strict=True):
        frame[name] = pd.Series(rng.choice([f"v{i}" for i in range(n_words)], n_rows), dtype=object)
    score = frame[NUMBERS[:5]].sum(axis=1) + (frame["t0"] == "v1") + rng.normal(size=n_rows)
    for name in [*NUMBERS[:4], "t0"]:
        frame.loc[rng.random(n_rows) < 0.05, name] = np.nan
    return frame, (score > 0).to_numpy().astype(int)


def scaled() -> ColumnTransformer:
    """Fill, scale, and a column for each word."""
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    return ColumnTransformer(
        [("n", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS), ("t", texts, TEXTS)]
    )


def ordinal() -> ColumnTransformer:
    """Numbers as they are, a number for each word."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("t", encoder, TEXTS)], remainder="passthrough")


MODELS: dict[str, Callable[[], Any]] = {
    "logistic regression": lambda: make_pipeline(scaled(), LogisticRegression()),
    "the same, calibrated in 5 folds": lambda: make_pipeline(
        scaled(), CalibratedClassifierCV(LogisticRegression(), cv=5)
    ),
    "polynomials, logistic regression": lambda: make_pipeline(
        scaled(), PolynomialFeatures(2), LogisticRegression(max_iter=30)
    ),
    "histogram boosting, 100 trees": lambda: make_pipeline(
        ordinal(), HistGradientBoostingClassifier(max_iter=100, random_state=0)
    ),
    "the same after one-hot": lambda: make_pipeline(
        scaled(), HistGradientBoostingClassifier(max_iter=100, random_state=0)
    ),
    "the same with sets of categories": lambda: HistGradientBoostingClassifier(
        max_iter=100, categorical_features=TEXTS, random_state=0
    ),
    "gradient boosting, 100 trees": lambda: make_pipeline(
        scaled(), GradientBoostingClassifier(random_state=0)
    ),
    "random forest, 100 trees of depth 12": lambda: make_pipeline(
        scaled(), RandomForestClassifier(100, max_depth=12, random_state=0)
    ),
    "extra trees, 100": lambda: make_pipeline(
        scaled(), ExtraTreesClassifier(100, min_samples_leaf=5, random_state=0)
    ),
    "5 nearest of 5,000": lambda: make_pipeline(scaled(), KNeighborsClassifier()),
}


def best_of(n_times: int, n_calls: int, *calls: Callable[[], Any]) -> list[float]:
    """Return the CPU seconds of each call, the best of ``n_times`` series of ``n_calls``, in turns."""
    best = [float("inf")] * len(calls)
    for _ in range(n_times):
        for i, call in enumerate(calls):
            start = time.thread_time()
            for _ in range(n_calls):
                call()
            best[i] = min(best[i], (time.thread_time() - start) / n_calls)
    return best


def print_times() -> None:
    """Print a table of times, one line a model."""
    frame, y = rows()
    print("| pipeline | 1 row | 100 rows | 10,000 rows | scikit-learn 1 row | 10,000 rows | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, make in MODELS.items():
        n_train = 5_000 if "nearest" in name or "polynomials" in name else len(frame)
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline = make().fit(frame[:n_train], y[:n_train])
            print(_line(name, pipeline, frame), flush=True)


def _line(name: str, pipeline: Any, frame: pd.DataFrame) -> str:
    columns = list(frame.columns)
    fast = CompiledPredictor(build(pipeline, columns, TEXTS))
    slow = SklearnPredictor(pipeline, columns, TEXTS)
    one, hundred, many = (_times(fast, slow, pipeline, frame[:size]) for size in SIZES)
    cells = [
        f"{one[0] * 1e6:.0f} µs",
        f"{hundred[0] * 1e6:.0f} µs",
        f"{many[0] * 1e3:.1f} ms",
        f"{one[1] * 1e6:.0f} µs",
        f"{many[1] * 1e3:.1f} ms",
        f"{many[0] / many[1]:.2f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _times(
    fast: CompiledPredictor, slow: SklearnPredictor, pipeline: Any, frame: pd.DataFrame
) -> tuple[float, float]:
    """Return the seconds that each path takes for these rows, the pipeline on a frame that is ready."""
    numbers = frame[NUMBERS].to_numpy(copy=True)
    texts = frame[TEXTS].fillna("").to_numpy(dtype=object)
    ready = slow.frame(numbers, texts)
    n_calls = max(1, 200 // len(frame))
    compiled, usual = best_of(
        5, n_calls, lambda: fast.scores(numbers, texts), lambda: pipeline.predict_proba(ready)
    )
    return compiled, usual


def print_families() -> None:
    """Print a line for each family of models, over all preparations that scikit-learn accepts before it."""
    print("| family | pipelines | compiled | largest difference | rows left to the pipeline |")
    print("|---|---|---|---|---|")
    for kind, models in (("classifier", catalog.CLASSIFIERS), ("regressor", catalog.REGRESSORS)):
        for name, model in models.items():
            print(_family(f"{name} ({kind})", model), flush=True)


def _family(name: str, model: catalog.Model) -> str:
    found, n_pipelines = [], 0
    for prep in catalog.PREPS.values():
        for n_classes in model.classes if catalog.fits(prep, model) else ():
            n_pipelines += 1
            try:
                found.append(catalog.compare(*catalog.fitted(prep, model, n_classes, seed=n_pipelines)))
            except NotCompilableError as error:
                print(f"not compiled: {name}: {error.reason}", file=sys.stderr)
    worst = max((one.difference for one in found), default=float("nan"))
    left = np.mean([one.undecided for one in found]) if found else float("nan")
    return f"| {name} | {n_pipelines} | {len(found)} | {worst:.1e} | {left:.2%} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--families", action="store_true")
    if parser.parse_args().families:
        print_families()
    else:
        print_times()
