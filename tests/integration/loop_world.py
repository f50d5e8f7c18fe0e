"""A model in a simulated month of production: rows, labels that come late, and all that looks at them."""

import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np

from mlops.operations import Operations
from mlops.remedies import Remedies
from mlops.retraining import Order
from mlops.services import build, prepare
from utils.mongo import connection
from utils.mongo.labels import Label
from utils.settings import Settings

DAY = timedelta(days=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
SPEC = """
name: t
task: classification
target: {name: y, classes: {0: low, 1: high}}
data: {train: t.csv}
pipeline: tests.small_pipelines:boosted
features: {a: {type: number}, b: {type: number}}
metrics: [roc_auc, accuracy]
"""


def rows(n, seed, flips=False):
    """Rows; with ``flips`` the label is the other one wherever ``a`` is above 0.3: inputs as ever."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    y = x[:, 0] + x[:, 1] + 0.7 * rng.normal(size=n) > 0
    y = np.where(x[:, 0] > 0.3, ~y, y) if flips else y
    return [{"a": a, "b": b, "y": int(t)} for (a, b), t in zip(x.tolist(), y, strict=True)]


@contextmanager
def world(mongo_uri, folder, further="", learnt=None):
    """A world on a database of its own, closed and dropped afterwards, whatever happens."""
    db = connection.connect(mongo_uri, f"loop_{uuid.uuid4().hex[:12]}")
    found = World(db, folder, mongo_uri, further, learnt)
    try:
        yield found.begun()
    finally:
        found.close()
        db.client.drop_database(db.name)
        connection.close(db)


class World:
    """Services on a database of their own, with a champion of ``t`` that learnt from ``learnt``."""

    def __init__(self, db, folder, mongo_uri, further="", learnt=None):
        (folder / "t.yaml").write_text(SPEC + further)
        table = rows(2_000, 0) if learnt is None else learnt
        (folder / "t.csv").write_text("a,b,y\n" + "".join(f"{r['a']},{r['b']},{r['y']}\n" for r in table))
        settings = Settings(
            mongo_uri=mongo_uri, mongo_db=db.name, models_dir=(folder,), trackers=(),
            state_dir=folder / "state", signing_key="a key of more than sixteen characters",
        )  # fmt: skip
        self.services = build(settings)
        prepare(self.services)
        self.operations = Operations(self.services)
        self.spec, self.registry = self.services.specs["t"], self.services.registry
        self.n_logged = 0
        self.trainings = []

    def begun(self):
        """Train the first champion."""
        services = self.services
        self.remedies = Remedies(
            services.alerts, services.quality_reports, self.operations.comparison, self.train
        )
        self.operations.retrain(Order("t"))
        return self

    def train(self, model, *, since, because):
        """Train in this process, and keep what came of it."""
        outcome = self.operations.retrain(Order(model, by="clock", since=since, because=because))
        self.trainings.append(outcome)
        return f"{outcome['version']} {outcome['gate']['verdict']}"

    def answer(self, given, day, version=None):
        """Log answers to rows, spread over one day; returns their ids."""
        loaded = self.registry.load("t", version or self.registry.champion("t"))
        numbers = np.array([[row["a"], row["b"]] for row in given])
        scores = loaded.predictor.scores(numbers, None)[:, 1]
        documents = [
            {
                "_id": f"{day}-{self.n_logged + i}", "model": "t", "version": loaded.version,
                "at": START + (day + i / len(given)) * DAY, "features": {"a": row["a"], "b": row["b"]},
                "probability": float(p), "prediction": int(p >= loaded.threshold), "spool": "s",
                "seq": self.n_logged + i, "latency_ms": 1.0,
            }
            for i, (row, p) in enumerate(zip(given, scores, strict=True))
        ]  # fmt: skip
        self.n_logged += len(given)
        self.services.predictions.add_many(documents)
        return [document["_id"] for document in documents]

    def label(self, ids, given, at):
        self.services.labels.put_many([Label(one, row["y"], at) for one, row in zip(ids, given, strict=True)])

    def look(self, since, at):
        """Everything that the clock does at one moment."""
        self.operations.monitor.scheduled(self.spec, at)
        self.operations.quality.scheduled([self.spec], since, at)
        self.operations.probation.check(self.spec, at)
        self.remedies.act(self.spec, at)

    def close(self):
        self.operations.close(1)
        connection.close(self.services.db)

    def alerts(self, **query):
        return self.services.alerts.list("t", **query)

    def part(self, day):
        (report,) = self.services.quality_reports.window(
            "t", START + (day + 1) * DAY, START + (day + 1.5) * DAY
        )
        return next(one for one in report["versions"] if one["version"] == report["version"])
