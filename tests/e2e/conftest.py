"""A database with a trained songs model, and real services on it."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.chromium import ARGUMENTS, CHROMIUM
from tests.running import LOG, Service, run
from utils.mongo import connection

SIGNING_KEY = "the key of these tests"


@pytest.fixture(scope="session")
def trained(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings of a database in which ``songs`` has a champion, trained on the simulated table."""
    settings = {
        "MONGO_URI": mongo_uri,
        "MONGO_DB": f"e2e_{uuid.uuid4().hex[:12]}",
        "SIGNING_KEY": SIGNING_KEY,
        "TRACKERS": "neptune",
    }
    state = tmp_path_factory.mktemp("training")
    run("data", "make", "songs")
    done = run("model", "train", "songs", "--promote", STATE_DIR=state, **settings)
    assert done.returncode == 0, done.stderr
    yield settings
    db = connection.connect(mongo_uri, settings["MONGO_DB"])
    db.client.drop_database(db.name)
    connection.close(db)


@pytest.fixture
def database(trained: dict[str, str]) -> Iterator[connection.Database]:
    """The trained database, with its log emptied."""
    db = connection.connect(trained["MONGO_URI"], trained["MONGO_DB"])
    for name in LOG:
        db[name].delete_many({})
    yield db
    connection.close(db)


@pytest.fixture
def small_db(small: Mapping[str, Any]) -> Iterator[connection.Database]:
    """The database of the small model that a module has trained by a fixture ``small``."""
    db = connection.connect(small["MONGO_URI"], small["MONGO_DB"])
    yield db
    connection.close(db)


@pytest.fixture(scope="module")
def service(trained: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests of a module."""
    with Service(tmp_path_factory.mktemp("service"), **trained) as found:
        yield found.wait_until_ready()


@pytest.fixture
def serve(trained: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services on the trained database; they are stopped after the test."""
    started: list[Service] = []

    def start(**settings: object) -> Service:
        state = settings.pop("STATE_DIR", tmp_path / "state")
        started.append(Service(Path(str(state)), **{**trained, **settings}))
        return started[-1].wait_until_ready()

    yield start
    for service in started:
        service.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of a module."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that may say nothing wrong on its console."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en-GB")
    found = context.new_page()
    problems: list[str] = []
    found.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    found.on("pageerror", lambda error: problems.append(str(error)))
    yield found
    context.close()
    # That an answer is an error is noted by the browser, and is shown by the page.
    assert [one for one in problems if "status of 4" not in one] == []
