"""The models that benchmarks serve: 15 columns, a logistic regression and a gradient boosting of 100 trees.

Heavy: imports scikit-learn. Rows come from a seed; nothing here is bundled with the service.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

NUMBERS = [f"number_{i}" for i in range(10)]
CATEGORIES = [f"category_{i}" for i in range(5)]
LEVELS = ["alpha", "beta", "gamma", "delta", "epsilon"]
TARGET = "outcome"
N_ROWS = 8_000
SPEC = """
name: {name}
task: classification
target: {{name: {target}, classes: {{0: "no", 1: "yes"}}, positive: 1}}
data: {{train: {data}}}
pipeline: bench.servers.models:{name}
features:
{features}
metrics: [roc_auc]
"""


def logistic() -> Pipeline:
    """Imputed and scaled numbers, one-hot categories, a logistic regression."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    prepare = ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", texts, CATEGORIES)])
    return Pipeline([("prepare", prepare), ("model", LogisticRegression(max_iter=1_000))])


def boosting() -> Pipeline:
    """Numbers as they are, ordinal categories, 100 trees of histogram gradient boosting."""
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    )
    prepare = ColumnTransformer([("numbers", "passthrough", NUMBERS), ("texts", texts, CATEGORIES)])
    model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0)
    return Pipeline([("prepare", prepare), ("model", model)])


def table(n_rows: int, seed: int) -> pd.DataFrame:
    """Return random rows with the target."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(50, 15, (n_rows, len(NUMBERS))).clip(0, 100).round(3), columns=NUMBERS)
    for name in CATEGORIES:
        frame[name] = rng.choice(LEVELS, n_rows)
    signal = (frame["number_0"] - 50) / 15 + (frame["category_0"] == "beta") + rng.normal(0, 1, n_rows)
    frame[TARGET] = (signal > 0.5).astype(int)
    return frame


def write_specs(folder: Path) -> None:
    """Write the training rows and one spec for each model into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "rows.csv"
    table(N_ROWS, seed=0).to_csv(data, index=False)
    features = "\n".join(
        [f"  {name}: {{type: number, min: 0, max: 100}}" for name in NUMBERS]
        + [f"  {name}: {{type: category, categories: {json.dumps(LEVELS)}}}" for name in CATEGORIES]
    )
    for name in ("logistic", "boosting"):
        text = SPEC.format(name=name, target=TARGET, data=data.name, features=features)
        (folder / f"{name}.yaml").write_text(text)


def body(n_rows: int) -> bytes:
    """Return a request with ``n_rows`` rows; one row is an object, more are a list."""
    rows = table(n_rows, seed=1).drop(columns=TARGET).to_dict("records")
    return json.dumps(rows[0] if n_rows == 1 else rows).encode()


def main(folder: Path) -> None:
    """Write specs and rows, and the fitted pipelines for the usual way."""
    import joblib  # type: ignore[import-untyped]

    write_specs(folder)
    rows = table(N_ROWS, seed=0)
    for make in (logistic, boosting):
        joblib.dump(make().fit(rows.drop(columns=TARGET), rows[TARGET]), folder / f"{make.__name__}.joblib")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
