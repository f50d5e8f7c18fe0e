"""Fixtures that many tests share: a real MongoDB, and a database of one's own in it."""

import logging
import os
import uuid
from collections.abc import Iterator

import pytest

from utils import embedded_mongo
from utils.mongo import connection

# Before scikit-learn is loaded, here and in all processes that tests start: on small tables, threads that
# wait for each other take half of the time, and most of it on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


LEVELS = {name: logging.getLogger(name).level for name in (None, "apscheduler")}


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URI of one private MongoDB for the whole run, shared by all of its processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    with embedded_mongo.start(shared / "mongo") as mongo:
        yield mongo.uri


@pytest.fixture
def db(mongo_uri: str) -> Iterator[connection.Database]:
    """An empty database that is dropped after the test."""
    database = connection.connect(mongo_uri, f"test_{uuid.uuid4().hex}")
    yield database
    database.client.drop_database(database.name)
    connection.close(database)


@pytest.fixture(autouse=True)
def log_levels() -> None:
    """Undo what a command that an earlier test or a fixture called in this process set for all loggers."""
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
