"""A model that trains in a moment, and a database of its own in which it has a champion."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.running import run
from utils.mongo import connection

SPEC = """
name: small
task: classification
target: {name: y, classes: {0: low, 1: high}}
data: {train: small.csv}
pipeline: tests.small_pipelines:logistic
features:
  a: {type: number}
  b: {type: number}
retrain_aliases: [/retrain-small]
metrics: [roc_auc, precision, recall, f1]
"""


def rows(n, seed, noise=1.0):
    """Rows whose label depends on ``b``, the less the more noise."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(n, 2))
    y = (table[:, 1] + noise * rng.normal(size=n) > 0).astype(int)
    return [{"a": a, "b": b, "y": int(label)} for (a, b), label in zip(table.tolist(), y, strict=True)]


@contextmanager
def small_model(
    mongo_uri: str, folder: Path, spec: str = SPEC, n_rows: int = 60, noise: float = 30.0
) -> Iterator[dict[str, object]]:
    """Settings of a database with a champion of ``small`` that, unless told, has learnt next to nothing."""
    (folder / "small.yaml").write_text(spec)
    poor = rows(n_rows, 1, noise)
    (folder / "small.csv").write_text("a,b,y\n" + "".join(f"{r['a']},{r['b']},{r['y']}\n" for r in poor))
    settings = {"MONGO_URI": mongo_uri, "MONGO_DB": f"small_{uuid.uuid4().hex[:12]}", "MODELS_DIR": folder}
    settings |= {"SIGNING_KEY": "the key of these tests", "TRACKERS": "", "DEFAULT_MODEL": "small"}
    done = run("model", "train", "small", "--promote", STATE_DIR=folder / "state", **settings)
    assert done.returncode == 0, done.stderr
    yield settings
    db = connection.connect(mongo_uri, settings["MONGO_DB"])
    db.client.drop_database(db.name)
    connection.close(db)
