"""The songs model from request to log to drift alarm, with real processes."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.running import SONG, run, wait_until


def song(randomly: random.Random, **changes: float) -> dict[str, float]:
    return SONG | {"tempo": randomly.uniform(60, 200), "energy": randomly.random()} | changes


def test_a_request_is_answered_and_stored_with_the_same_ids(serve, database):
    service = serve()

    status, body = service.post("/predict-song", [SONG, SONG | {"tempo": 180.0}])

    ids = [answer["prediction_id"] for answer in body["predictions"]]
    wait_until(lambda: database["predictions"].count_documents({}) == 2)
    stored = database["predictions"].find_one({"_id": ids[1]})
    assert status == 200
    assert (body["model"], body["predictions"][0]["class"]) == ("songs", "reggaeton")
    assert (stored["row"], stored["features"]["tempo"], stored["request_id"]) == (
        1,
        180.0,
        body["request_id"],
    )
    assert stored["probability"] == body["predictions"][1]["probability"]


def test_2000_requests_of_8_clients_are_stored_once_each(serve, database):
    service = serve(WEB_CONCURRENCY=2)
    randomly = random.Random(1)

    with ThreadPoolExecutor(8) as clients:
        answers = list(
            clients.map(lambda row: service.post("/predict", row), [song(randomly) for _ in range(2_000)])
        )

    ids = {body["predictions"][0]["prediction_id"] for status, body in answers if status == 200}
    assert len(ids) == 2_000
    wait_until(lambda: database["predictions"].count_documents({}) >= 2_000)
    assert {found["_id"] for found in database["predictions"].find({}, ["_id"])} == ids


def test_what_waits_at_the_end_is_stored_by_the_next_process(serve, database, tmp_path):
    first = serve(MONGO_DB=database.name, STATE_DIR=tmp_path / "shared")
    first.post("/predict", [SONG] * 50)
    first.process.kill()
    first.process.wait()

    serve(STATE_DIR=tmp_path / "shared")

    wait_until(lambda: database["predictions"].count_documents({}) == 50)


def test_traffic_like_training_raises_no_alarm_and_a_faster_tempo_does(
    serve, database, trained, training_rows
):
    service = serve()
    service.post("/predict", training_rows[:2_000])

    status, calm = service.post("/models/songs/monitor", b"")

    assert (status, calm["drift"], calm["n_rows"]) == (200, False, 2_000)
    database["predictions"].delete_many({})
    database["drift_counts"].delete_many({})
    tempos = [row["tempo"] for row in training_rows]
    shift = 0.5 * (sum(t * t for t in tempos) / len(tempos) - (sum(tempos) / len(tempos)) ** 2) ** 0.5
    service.post("/predict", [row | {"tempo": row["tempo"] + shift} for row in training_rows[2_000:3_000]])
    wait_until(lambda: database["predictions"].count_documents({}) == 1_000)

    status, drifted = service.post("/models/songs/monitor", b"")

    assert (drifted["drift"], drifted["drifted"]) == (True, ["tempo"])
    assert "bpm" in next(f["sentence"] for f in drifted["features"] if f["feature"] == "tempo")
    _, alerts = service.get("/models/songs/alerts")
    assert [(alert["key"], alert["state"]) for alert in alerts["alerts"]] == [
        ("drift/distribution/tempo", "open")
    ]


@pytest.fixture
def training_rows(trained):
    """Rows of the simulated table as requests, in random order."""
    import csv

    from tests.running import ROOT

    with (ROOT / "data" / "songs" / "songs.csv").open() as file:
        rows = [
            {name: float(row[name]) if row[name] else None for name in SONG} for row in csv.DictReader(file)
        ]
    whole = ("key", "mode", "duration", "popularity")
    rows = [
        row | {n: int(row[n]) for n in whole if row[n] is not None}
        for row in rows
        if None not in list(row.values())[1:]
    ]
    random.Random(5).shuffle(rows)
    return rows


def test_three_clocks_make_one_report_a_due_time(database, trained, serve, tmp_path):
    import subprocess
    import sys

    from tests.running import ROOT, environment

    serve().post("/predict", [SONG] * 10)
    env = environment(**trained, MONITOR_CRON="* * * * *", STATE_DIR=tmp_path / "clocks")
    clocks = [
        subprocess.Popen(
            [sys.executable, "-m", "mlops", "clock"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL
        )
        for _ in range(3)
    ]
    try:
        done = {"job": "monitor", "state": "finished"}
        wait_until(lambda: database["job_runs"].count_documents(done) >= 1, 100)
    finally:
        for clock in clocks:
            clock.terminate()
        codes = [clock.wait(30) for clock in clocks]

    runs = list(database["job_runs"].find({"job": "monitor"}))
    due = {run["due_at"] for run in runs}
    reports = list(database["drift_reports"].find({"kind": "scheduled"}))
    assert codes == [0, 0, 0]
    assert len(runs) == len(due)
    assert all(run["n_attempts"] == 1 and run["outcome"] == "ok" for run in runs)
    assert len(reports) <= len(due)


def test_the_command_line_finds_drift_with_exit_code_2(serve, database, trained, tmp_path):
    service = serve()
    service.post("/predict", [SONG | {"tempo": 60.0 + i / 50} for i in range(500)])
    wait_until(lambda: database["predictions"].count_documents({}) == 500)

    done = run("mlops", "monitor", "songs", "--json", STATE_DIR=tmp_path / "cli", **trained)

    assert done.returncode == 2, done.stderr
