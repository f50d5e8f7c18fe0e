"""Canaries, shadows, experiments and the clock's retraining, with real processes and a small model."""

import json
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest

from tests.e2e.small_model import rows, small_model
from tests.running import ROOT, Service, environment, run, wait_until
from utils.mongo.alerts import AlertStore
from utils.time import now

ROW = {"a": 0.1, "b": 0.9}


@pytest.fixture(scope="module")
def small(mongo_uri, tmp_path_factory):
    """A champion, version 1, and a challenger that has learnt more, version 2."""
    with small_model(mongo_uri, tmp_path_factory.mktemp("models")) as settings:
        folder = tmp_path_factory.mktemp("rows")
        lines = "".join(f"{r['a']},{r['b']},{r['y']}\n" for r in rows(400, 2))
        (folder / "more.csv").write_text("a,b,y\n" + lines)
        done = run(
            "mlops", "retrain", "small", "--data", str(folder / "more.csv"), "--promote", "never",
            STATE_DIR=folder, **settings,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        yield settings


@pytest.fixture(scope="module")
def service(small, tmp_path_factory):
    with Service(tmp_path_factory.mktemp("state"), **small) as found:
        yield found.wait_until_ready()


def command(*arguments, small, state):
    done = run("mlops", *arguments, "--json", STATE_DIR=state, **small)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def asked(service, method, path, body=None):
    content = {} if body is None else {"body": json.dumps(body).encode()}
    answer = service.http.request(method, service.url + path, **content)
    return answer.status, answer.json()


def version_for(service, request_id):
    answer = service.http.request(
        "POST", f"{service.url}/predict", body=json.dumps(ROW).encode(),
        headers={"Content-Type": "application/json", "X-Request-ID": request_id},
    )  # fmt: skip
    assert (answer.status, answer.json()["version"]) == (200, answer.headers["X-Model-Version"])
    return answer.headers["X-Model-Version"]


def versions(service, n=100):
    return [version_for(service, f"request-{i}") for i in range(n)]


def test_a_canary_answers_its_share_by_request_id_and_every_worker_follows_within_seconds(service, small_db):
    assert set(versions(service, 20)) == {"1"}

    status, _ = asked(service, "PUT", "/models/small/canary", {"version": "2", "share": 0.3})
    wait_until(lambda: "2" in versions(service, 20), 5)
    wait_until(lambda: len({tuple(versions(service, 40)) for _ in range(4)}) == 1, 5)
    first = versions(service)

    assert status == 200
    assert 15 <= Counter(first)["2"] <= 45
    assert versions(service) == first
    wait_until(lambda: set(asked(service, "GET", "/models/small/canary")[1]["rows"]) == {"1", "2"})
    assert asked(service, "DELETE", "/models/small/canary")[1]["canary"] is None
    wait_until(lambda: set(versions(service, 40)) == {"1"}, 5)


@pytest.mark.parametrize(
    ("body", "status"),
    [({"version": "2"}, 422), ({"version": "2", "share": 1.5}, 422), ({"version": "9", "share": 0.1}, 404),
     ({"version": "1", "share": 0.1}, 409)],
)  # fmt: skip
def test_a_canary_that_cannot_be_is_refused(service, body, status):
    found, problem = asked(service, "PUT", "/models/small/canary", body)

    assert found == status and problem["detail"]


def test_a_canary_and_a_shadow_begin_and_end_by_command(service, small, tmp_path):
    begun = command("canary", "small", "--version", "2", "--share", "0.5", small=small, state=tmp_path)
    ended = command("canary", "small", "--end", small=small, state=tmp_path)
    shadow = command("shadow", "small", "--version", "2", "--start", small=small, state=tmp_path)

    assert (begun["canary"]["share"], ended["canary"], shadow["version"]) == (0.5, None, "2")
    assert asked(service, "GET", "/models/small/shadow")[1]["shadow"]["version"] == "2"
    assert asked(service, "DELETE", "/models/small/shadow")[1]["ended"]["version"] == "2"


def test_a_replay_of_last_week_is_a_report_that_the_route_returns(service, small_db):
    service.post("/predict", [{"a": row["a"], "b": row["b"]} for row in rows(200, 3)])
    wait_until(lambda: small_db["predictions"].count_documents({}) >= 200)

    status, report = asked(service, "POST", "/models/small/shadow", {"version": 2, "since": "7d"})

    assert status == 200 and report["n_rows"] >= 200 and 0 < report["agreement"] < 1
    latest = asked(service, "GET", "/models/small/shadow")[1]["latest"]
    assert (latest["kind"], latest["n_rows"]) == ("replay", report["n_rows"])
    assert asked(service, "POST", "/models/small/shadow", {"version": 2, "since": "week"})[0] == 422
    assert asked(service, "POST", "/models/small/shadow", {"version": 1})[0] == 409


def test_an_experiment_ranks_a_grid_keeps_pictures_and_registers_the_best(small, service, small_db, tmp_path):
    grid = tmp_path / "grid.yaml"
    grid.write_text("- {model: linear, regularisation: [0.1, 10]}\n- {model: forest, n_trees: 20}\n"
                    "- {model: forest, n_trees: wrong}\n- {model: spec}\n")  # fmt: skip

    told = command("experiment", "small", "--grid", str(grid), "--register", small=small, state=tmp_path)

    values = [one["metrics"]["roc_auc"]["mean"] for one in told["candidates"] if one["metrics"]]
    assert len(values) == 4 and values == sorted(values, reverse=True)
    assert told["candidates"][-1]["problem"]
    pictures = {path.name for path in (tmp_path / "experiments" / "small").glob("*/*.svg")}
    assert pictures == {"ranking.svg", "roc.svg", "precision_recall.svg"}
    registered = told["registered"]
    assert not registered["is_promoted"]
    assert registered["pipeline"]["parameters"] == told["candidates"][0]["parameters"]
    assert small_db["model_versions"].count_documents({"version": registered["version"]}) == 1
    shown = service.get(f"/dashboard/small/versions?experiment={told['experiment']}")[1]
    assert shown.count("n_trees=") == 2
    assert f"{told['candidates'][0]['metrics']['roc_auc']['mean']:.4g}" in shown


def test_a_search_proposes_pipelines(small, tmp_path):
    told = command("experiment", "small", "--trials", "3", small=small, state=tmp_path)

    assert len(told["candidates"]) == 4


@pytest.fixture
def due(small_db):
    """Jobs that were due at the full hour, and that no clock has run since."""
    hour = now().replace(minute=0, second=0, microsecond=0)
    for job in ("retrain", "remedies"):
        run_before = {"job": job, "due_at": hour - timedelta(hours=1), "state": "finished"}
        small_db["job_runs"].insert_one(run_before)
    return hour


@pytest.fixture
def labelled(service, small_db):
    """Thirty predictions with a label."""
    _, body = service.post("/predict", [{"a": row["a"], "b": row["b"]} for row in rows(30, 9)])
    ids = [one["prediction_id"] for one in body["predictions"]]
    wait_until(lambda: small_db["predictions"].count_documents({"_id": {"$in": ids}}) == len(ids))
    service.post("/labels", [{"prediction_id": one, "label": 1} for one in ids])
    return ids


def clock_until(is_done, settings, state):
    env = environment(STATE_DIR=state, RETRAIN_CRON="0 * * * *", MONITOR_CRON="0 * * * *", **settings)
    command = [sys.executable, "-m", "mlops", "clock"]
    clock = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        wait_until(is_done, 120)
    finally:
        clock.send_signal(signal.SIGTERM)
        clock.wait(30)


def test_the_clock_retrains_by_cron_and_for_an_alarm_that_the_spec_names(
    labelled, due, small, small_db, tmp_path
):
    spec = small["MODELS_DIR"] / "small.yaml"
    spec.write_text(spec.read_text() + "retrain: {on: [quality], min_labels: 20}\n")
    earlier = {"$set": {"at": due - timedelta(minutes=30)}}  # a run looks at what was there when it was due
    small_db["predictions"].update_many({"_id": {"$in": labelled}}, earlier)
    alerts = AlertStore(small_db)
    alerts.open_or_touch("small", "quality/roc_auc", {"check": "quality"}, now())

    def details():
        done = {"due_at": due, "state": "finished", "job": {"$in": ["retrain", "remedies"]}}
        return {one["job"]: one["detail"] for one in small_db["job_runs"].find(done)}

    clock_until(lambda: len(details()) == 2, small, tmp_path)

    (alert,) = alerts.list("small")
    assert all(text.startswith("small ") and "promoted" in text for text in details().values())
    assert alert["training"]["outcome"] in details()["remedies"]
    assert small_db["training_jobs"].count_documents({"by": "clock", "state": "finished"}) == 2
