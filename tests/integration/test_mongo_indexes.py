"""Indexes on a real MongoDB."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from utils.mongo import indexes

DAY_S = 86_400


def expiry_s(db, collection):
    return db[collection].index_information().get("retention", {}).get("expireAfterSeconds")


def everything(db):
    return {name: db[name].index_information() for name in indexes.INDEXES}


def test_indexes_are_made_once_and_stay_as_they_are(db):
    indexes.ensure(db, 30)
    before = everything(db)

    indexes.ensure(db, 30)

    assert everything(db) == before
    assert all(len(found) > 1 for found in before.values())


@pytest.mark.parametrize("first", [None, 7])
@pytest.mark.parametrize("then", [None, 7, 90])
def test_how_long_predictions_are_kept_follows_the_setting(db, first, then):
    indexes.ensure(db, first)

    indexes.ensure(db, then)

    assert expiry_s(db, "predictions") == (then * DAY_S if then else None)
    assert expiry_s(db, "labels") == (then * DAY_S if then else None)


@pytest.mark.parametrize(("retention_days", "kept_days"), [(None, 30), (7, 7), (365, 30)])
def test_refused_rows_are_kept_a_month_at_most(db, retention_days, kept_days):
    indexes.ensure(db, retention_days)

    assert expiry_s(db, "rejections") == kept_days * DAY_S


def test_indexes_of_others_are_left_alone(db):
    db["predictions"].create_index("features.tempo", name="mine")

    indexes.ensure(db, None)

    assert "mine" in db["predictions"].index_information()


def test_many_processes_may_make_indexes_at_once(db):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: indexes.ensure(db, 30), range(4)))

    assert expiry_s(db, "predictions") == 30 * DAY_S


def test_counts_of_a_window_are_answered_from_the_index_alone(db):
    indexes.ensure(db, None)
    query = {"model": "songs", "at": {"$gte": 0}, "version": "1"}

    plan = db["predictions"].find(query, {"_id": 0, "version": 1}).explain()["queryPlanner"]["winningPlan"]

    assert plan["stage"] == "PROJECTION_COVERED"
