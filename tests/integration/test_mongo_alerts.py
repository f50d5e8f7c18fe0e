"""The state of alerts on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from utils.errors import NotFoundError
from utils.mongo import indexes
from utils.mongo.alerts import AlertStore
from utils.time import now

START = now()
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def store(db):
    indexes.ensure(db, None)
    return AlertStore(db)


def see(store, at=START, key="drift/tempo", **content):
    return store.open_or_touch("songs", key, content, at)


def test_the_first_sight_opens_and_the_next_touches(store):
    opened, is_new = see(store, effect=0.1)
    touched, is_new_again = see(store, START + HOUR, effect=0.3)

    assert (is_new, is_new_again) == (True, False)
    assert touched == opened | {"effect": 0.3, "seen_at": START + HOUR, "n_seen": 2}


def test_of_many_clocks_that_see_it_at_once_exactly_one_opens(store):
    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda _: see(store), range(32)))

    assert sum(is_new for _, is_new in seen) == 1
    assert [alert["n_seen"] for alert in store.list("songs")] == [32]


def test_each_key_and_model_has_an_alert_of_its_own(store):
    see(store)
    see(store, key="drift/key")
    store.open_or_touch("cars", "drift/tempo", {}, START)

    assert len(store.list("songs", state="open")) == 2
    assert len(store.list()) == 3


def test_of_many_who_resolve_exactly_one_does(store):
    see(store)

    with ThreadPoolExecutor(8) as threads:
        resolved = [store.resolve, store.resolve, store.resolve, store.resolve]
        results = list(threads.map(lambda resolve: resolve("songs", "drift/tempo", START + HOUR), resolved))

    [alert] = [result for result in results if result]
    assert (alert["state"], alert["resolved_at"]) == ("resolved", START + HOUR)
    assert store.list("songs", state="open") == []


def test_what_comes_back_after_it_was_resolved_is_a_new_alert(store):
    first, _ = see(store)
    store.resolve("songs", "drift/tempo", START + HOUR)

    second, is_new = see(store, START + DAY)

    assert is_new
    assert [alert["id"] for alert in store.list("songs")] == [second["id"], first["id"]]


def test_two_days_of_hourly_checks_remind_once_a_day(store):
    reminders = []
    for hour in range(48):
        alert, _ = see(store, START + hour * HOUR)
        if any(store.claim_reminder(alert["id"], START + hour * HOUR, DAY) for _clock in range(2)):
            reminders.append(hour)

    assert reminders == [24]


def test_nobody_is_reminded_of_what_is_silenced_acknowledged_or_resolved(store):
    silenced, acknowledged, resolved = (see(store, key=key)[0]["id"] for key in ("a", "b", "c"))
    store.silence(silenced, START + 5 * DAY, "ana")
    store.acknowledge(acknowledged, "ana", START)
    store.resolve("songs", "c", START)

    reminded = [store.claim_reminder(alert, START + DAY, DAY) for alert in (silenced, acknowledged, resolved)]

    assert reminded == [False, False, False]
    assert store.claim_reminder(silenced, START + 5 * DAY, DAY)


def test_one_alert_is_found_by_its_id(store):
    alert, _ = see(store)

    assert store.get(alert["id"]) == alert
    assert store.get("no such id") is None
    assert store.acknowledge(alert["id"], "ana", START)["acknowledged_by"] == "ana"


@pytest.mark.parametrize("unknown", ["no such id", "0" * 24])
def test_an_unknown_alert_cannot_be_silenced(store, unknown):
    with pytest.raises(NotFoundError, match=unknown):
        store.silence(unknown, START, "ana")
