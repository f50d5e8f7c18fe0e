"""The two weeks of the demo, cut to two days: all that they leave is what the product itself wrote."""

import uuid
from datetime import timedelta

import pytest

import mlops.demo as demos
from mlops.counting import hour_of
from mlops.operations import Operations
from mlops.services import build, prepare
from mlops.standing import Step, standing
from utils.mongo import connection
from utils.settings import load
from utils.time import now

STORY = demos.Story("titanic", 600, 0.9, 0.1, (demos.Change(0.5, 3.0, demos._without_age),), 1.5)


@pytest.fixture
def operations(mongo_uri, tmp_path):
    settings = {"MONGO_URI": mongo_uri, "MONGO_DB": f"t{uuid.uuid4().hex[:12]}", "TRACKERS": ""}
    services = build(load(settings | {"STATE_DIR": str(tmp_path)}, None))
    found = Operations(services)
    prepare(services)
    yield found
    found.close(1)
    connection.drop(services.db)
    connection.close(services.db)


def test_the_past_is_lived_through(operations, monkeypatch):
    monkeypatch.setattr(demos, "N_DAYS", 2)
    monkeypatch.setattr(demos, "QUIET_DAYS", 0)
    demo, until = demos.Demo(operations, [STORY]), hour_of(now())

    demo.train(until, lambda *_: None)
    demo.fill(until, lambda *_: None)

    services = operations.services
    first, last = services.history.all("titanic")[0], services.predictions.last("titanic", 1)[0]
    assert [one["version"] for one in services.history.all("titanic")] == ["1", "2"]
    assert first["at"] < until - timedelta(days=2)
    assert until - timedelta(days=1) < last["at"] < until
    services.serving.refresh()
    card = standing(services, "titanic")
    assert card.n_day > 100
    assert card.quality is not None
    assert "drift/missing/Age" in {alert["key"] for alert in card.open_alerts}
    assert Step("mend", "Age") in card.steps
