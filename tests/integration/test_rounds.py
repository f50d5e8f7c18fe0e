"""A job that fails for one model does the others, is noted as failed, and people are told."""

from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace

import pytest

from mlops.alerts import Alarms
from mlops.channels import Notifier
from mlops.clock import Clock, Job
from mlops.rounds import Round, RoundError
from utils.errors import SettingsError, UnavailableError
from utils.mongo import indexes
from utils.mongo.alerts import AlertStore
from utils.mongo.job_runs import JobRunStore
from utils.time import now

SPECS = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]


@dataclass
class World:
    """Two models, of which some fail."""

    alerts: AlertStore
    failing: dict[str, Exception] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def act(self, spec, due_at):
        self.done.append(spec.name)
        if spec.name in self.failing:
            raise self.failing[spec.name]
        return "ok"

    def round(self):
        return Round("monitor", self.act, lambda: SPECS, lambda: Alarms(self.alerts, Notifier([])))

    def open_alerts(self, model):
        return [(one["key"], one["sentence"]) for one in self.alerts.list(model) if one["state"] == "open"]


@pytest.fixture
def world(db):
    indexes.ensure(db, None)
    return World(AlertStore(db))


@pytest.mark.parametrize(
    ("error", "words"),
    [(SettingsError("TRACKERS: foo."), "TRACKERS: foo."), (ValueError("no such column"), "no such column")],
)
def test_a_model_that_fails_keeps_no_other_from_its_turn_and_is_told(world, error, words):
    world.failing["a"] = error

    with pytest.raises(RoundError, match="a failed, b ok"):
        world.round()(now())

    (told,) = world.open_alerts("a")
    assert told[0] == "failed/monitor"
    assert words in told[1]
    assert world.open_alerts("b") == []


def test_the_alert_is_resolved_when_the_job_works_again(world):
    world.failing["a"] = SettingsError("wrong")
    with pytest.raises(RoundError):
        world.round()(now())
    world.failing.clear()

    for hours in (1, 2, 3):
        assert world.round()(now() + timedelta(hours=hours)) == "a ok, b ok"

    assert world.open_alerts("a") == []


def test_while_mongodb_is_away_nothing_is_called_failed(world):
    world.failing["a"] = UnavailableError("away")

    with pytest.raises(UnavailableError):
        world.round()(now())

    assert world.open_alerts("a") == []


def test_the_clock_notes_such_a_run_as_failed_and_tells_it(db, world):
    world.failing["a"] = SettingsError("wrong")
    told, runs = [], JobRunStore(db)
    clock = Clock([Job("monitor", "MONITOR_CRON", "* * * * *", world.round())], runs, told.append)
    clock._started_at -= timedelta(minutes=1)

    clock.look()

    assert {run["outcome"] for run in told} == {"failed"}
    assert "a failed, b ok" in told[0]["detail"]
    assert runs.last("monitor", outcome="ok") is None
