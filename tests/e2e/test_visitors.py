"""The demo goes on while it runs: what its story says comes over HTTP, and labels follow."""

import threading
from datetime import timedelta

import pytest

from mlops.counting import hour_of
from mlops.demo import DAY, N_DAYS, Demo, Story, Traffic
from mlops.operations import Operations
from mlops.services import build
from mlops.visitors import Visitors
from tests.running import wait_until
from utils.mongo import connection
from utils.settings import load
from utils.time import now

STORY = Story("songs", 2_000, 0.9, 1e-6)


@pytest.fixture
def visitors(service, trained, database, tmp_path):
    """Visitors whose requests of the last three hours are all due."""
    settings = load(trained | {"PORT": str(service.port), "STATE_DIR": str(tmp_path), "TRACKERS": ","}, None)
    operations = Operations(build(settings))
    traffic = Traffic(STORY, hour_of(now()) - N_DAYS * DAY - timedelta(hours=3))
    yield Visitors(Demo(operations, [STORY]), [traffic], settings)
    operations.close(1)
    connection.close(operations.services.db)


def test_visitors_ask_the_service_and_say_later_what_was_true(visitors, database):
    stop = threading.Event()
    thread = threading.Thread(target=visitors.visit, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: database["predictions"].count_documents({"model": "songs"}) > 5)
        wait_until(lambda: database["labels"].count_documents({}) > 0)
    finally:
        stop.set()
        thread.join(30)

    assert not thread.is_alive()


def test_a_service_that_is_away_misses_its_visitors_only(visitors, service, caplog):
    visitors._url = "http://127.0.0.1:9/models"
    stop = threading.Event()
    thread = threading.Thread(target=visitors.visit, args=(stop,))

    thread.start()
    try:
        wait_until(lambda: "went away" in caplog.text)
    finally:
        stop.set()
        thread.join(30)

    assert not thread.is_alive()
