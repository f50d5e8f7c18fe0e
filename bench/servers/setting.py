"""A MongoDB with the benchmark models in it, and the three servers that are compared, on this machine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers.processes import ROOT, Server, cpu_s, waited
from utils import embedded_mongo
from utils.mongo import connection, indexes
from utils.mongo.connection import Database

MODELS = ("logistic", "boosting")
DATABASE = "bench"
STORE_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Setting:
    """Where everything is.

    Attributes
    ----------
    folder : Path
        Holds the state of all.
    db : Database
        With a champion for each model.
    uri : str
        Of its MongoDB.
    """

    folder: Path
    db: Database
    uri: str

    @property
    def environment(self) -> dict[str, str]:
        """Settings of our service."""
        return {
            "MONGO_URI": self.uri,
            "MONGO_DB": DATABASE,
            "MODELS_DIR": str(self.folder / "models"),
            "STATE_DIR": str(self.folder / "state"),
            "SIGNING_KEY": "the key of benchmarks",
            "DEFAULT_MODEL": MODELS[0],
            "LOG_LEVEL": "WARNING",
            "TRACKERS": "neptune",
        }

    def ours(self) -> Server:
        """Start our service."""
        arguments = ["-c", "gunicorn.conf.py", "app.wsgi:app"]
        return Server("vigia", arguments, self.folder / "vigia.log", ready="/readyz", **self.environment)

    def ceiling(self) -> Server:
        """Start the bare Flask app."""
        return self._plain("ceiling", {})

    def usual(self, model: str) -> Server:
        """Start the usual way for one model."""
        pipeline = self.folder / "models" / f"{model}.joblib"
        return self._plain("usual", {"PIPELINE": str(pipeline), "MONGO_URI": self.uri})

    def _plain(self, name: str, settings: dict[str, str]) -> Server:
        log = self.folder / f"{name}.log"
        arguments = ["-c", "bench/servers/plain.conf.py", f"bench.servers.baselines:{name}()"]
        return Server(name, arguments, log, ready="/", **settings)

    def n_stored(self) -> int:
        """Return how many predictions are in MongoDB."""
        return int(self.db.predictions.estimated_document_count())

    def wait_until_stored(self, n_rows: int) -> bool:
        """Return whether so many predictions are in MongoDB before a long time has passed."""
        return waited(lambda: self.n_stored() >= n_rows, STORE_TIMEOUT_S)

    def mongod_cpu_s(self) -> float:
        """Return the processor time of mongod so far."""
        return cpu_s(int(self.db.command("serverStatus")["pid"]))


@contextmanager
def prepared(folder: Path) -> Iterator[Setting]:
    """Start MongoDB, train the models, and stop what is left afterwards."""
    with embedded_mongo.start(folder / "mongo") as mongo:
        db = connection.connect(mongo.uri, DATABASE)
        indexes.ensure(db, None)
        setting = Setting(folder, db, mongo.uri)
        _train(setting)
        yield setting
        connection.close(db)


def _train(setting: Setting) -> None:
    models = setting.folder / "models"
    _run(["bench.servers.models", str(models)], setting)
    for model in MODELS:
        _run(["model", "--models", str(models), "train", model, "--promote"], setting)


def _run(module: list[str], setting: Setting) -> None:
    command = [sys.executable, "-m", *module]
    environment = {**os.environ, **setting.environment}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(module)} failed:\n{done.stderr}")
