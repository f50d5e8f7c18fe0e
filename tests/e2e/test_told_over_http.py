"""What the service says of itself: what is live and why, and what is missing, in each place."""

import json
import os
import re
import subprocess
import sys
import termios
from datetime import UTC, datetime

import pytest
import urllib3

from app import create_app
from mlops.services import build
from tests.running import ROOT, SONG, Service, run, wait_until
from utils.settings import MASK, load

OPEN = re.compile(r"/(healthz|livez|health|readyz|ready|ping|static/.*|v2/health/(live|ready)|login)")
MARKS = r"<[^>]+>"
WORK = (
    "from utils.terminal import progress_bar; bar = progress_bar('work'); [bar('step', i, 2) for i in (0, 1)]"
)


def asked(service, method, path, **headers):
    return service.http.request(method, service.url + path, headers=headers, redirect=False)


@pytest.fixture(scope="module")
def spoken(trained, tmp_path_factory):
    """A service with keys, in whose log each line is to be JSON."""
    keys = {"API_KEYS": "use", "ADMIN_API_KEYS": "all"}
    with Service(tmp_path_factory.mktemp("spoken"), **trained, **keys, WEB_CONCURRENCY=1) as found:
        yield found.wait_until_ready()


def test_models_tell_what_is_live_since_when_why_by_whom_and_how_it_is_scored(service):
    (one,) = [found for found in service.get("/models")[1]["models"] if found["name"] == "songs"]

    newest = service.get("/models/songs/history")[1]["history"][-1]
    assert {name: one[name] for name in ("version", "since", "reason", "by")} == {
        "version": newest["version"], "since": newest["at"], "reason": newest["reason"], "by": newest["by"]
    }  # fmt: skip
    assert one["metrics"]
    assert (one["served_by"], one["not_compiled"]) == ("compiled", "")
    assert service.get("/models/songs")[1] == one


def test_the_champion_of_an_instant_is_told(service):
    newest = service.get("/models/songs/history")[1]["history"][-1]
    instant = datetime.now(UTC).isoformat().replace("+00:00", "Z")

    found = service.get(f"/models/songs/history?at={instant}")[1]

    assert (found["at"], found["champion"]) == (instant, newest)
    assert service.get("/models/songs/history?at=2001-01-01T00:00:00Z")[1]["champion"] is None


def test_a_check_of_a_model_without_champion_says_when_to_come_again(service):
    answer = asked(service, "POST", "/models/cars/monitor")

    assert (answer.status, "no champion" in answer.json()["detail"]) == (503, True)
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_foreign_name_of_this_machine_is_told_what_to_set(service):
    answer = asked(service, "GET", "/models", Host="elsewhere.example")

    assert answer.status == 403
    assert all(name in answer.json()["detail"] for name in ("API_KEYS", "ADMIN_API_KEYS", "HOST"))


def test_the_home_page_is_the_dashboard(service):
    answer = asked(service, "GET", "/")

    assert (answer.status, answer.headers["Location"]) == (302, "/dashboard")


@pytest.mark.parametrize("path", ["/invocations", "/v2/models/songs/infer"])
def test_predictions_in_other_protocols_name_their_version(service, path):
    tensors = [
        {"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]} for name, value in SONG.items()
    ]
    body = {"inputs": tensors} if path.startswith("/v2") else {"instances": [SONG]}

    answer = service.http.request("POST", service.url + path, json=body)

    assert answer.status == 200, answer.data
    assert answer.headers["X-Model-Version"] == service.get("/models/songs")[1]["version"]


def test_mongodb_away_at_the_start_is_what_is_told(trained, tmp_path):
    given = trained | {"MONGO_URI": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"}
    with Service(tmp_path, **given, WEB_CONCURRENCY=1) as service:
        wait_until(lambda: is_heard(service), 60)
        answer = asked(service, "GET", "/readyz")
        predicted = service.post("/predict", SONG)

    assert answer.json()["reasons"][0].startswith("MongoDB is away")
    assert int(answer.headers["Retry-After"]) >= 1
    assert (predicted[0], predicted[1]["detail"][:15]) == (503, "MongoDB is away")


def test_without_a_key_every_route_refuses(spoken, trained, tmp_path):
    app = create_app(build(load({**trained, "STATE_DIR": str(tmp_path)}, None)))
    rules = [rule for rule in app.url_map.iter_rules() if not OPEN.fullmatch(re.sub(MARKS, "x", rule.rule))]

    found = {
        (method, rule.rule): asked(spoken, method, re.sub(MARKS, "x", rule.rule))
        for rule in rules
        for method in sorted((rule.methods or set()) - {"OPTIONS"})
    }

    assert len(found) > 60
    assert {key: answer.status for key, answer in found.items() if not is_refused(answer)} == {}


def is_heard(service):
    """Tell whether the service answers at all."""
    try:
        return service.get("/healthz")[0] == 200
    except urllib3.exceptions.HTTPError:
        return False


def is_refused(answer):
    """Tell whether an answer asks for a key, or leads to the page that does."""
    return answer.status in (401, 403) or "/dashboard" in answer.headers.get("Location", "")


def test_each_line_of_the_log_is_json_those_of_the_web_server_too(spoken):
    spoken.post("/predict", SONG, **{"X-API-Key": "use"})
    lines = [json.loads(line) for line in spoken.log_path.read_text().splitlines()]

    assert {"gunicorn.error"} < {line["logger"] for line in lines}


def test_text_is_for_people(trained, tmp_path):
    with Service(tmp_path, **trained, LOG_FORMAT="text", WEB_CONCURRENCY=1) as service:
        service.wait_until_ready()
        lines = service.log_path.read_text().splitlines()

    assert [line for line in lines if not re.match(r"\d\d:\d\d:\d\d (INFO|WARNING) +[a-z._]+: ", line)] == []


def test_config_show_masks_secrets_and_says_where_values_come_from(trained, tmp_path):
    done = run("mlops", "config", "show", "--json", **trained, API_KEYS="s3cret-key", STATE_DIR=tmp_path)

    found = {one["variable"]: one for one in json.loads(done.stdout)}
    assert found["API_KEYS"] == {"variable": "API_KEYS", "value": MASK, "origin": "environment"}
    assert found["SIGNING_KEY"]["value"] == found["MONGO_URI"]["value"] == MASK
    assert "s3cret-key" not in done.stdout + done.stderr


def test_long_work_shows_a_bar_on_a_terminal_and_none_elsewhere():
    main, worker = os.openpty()
    termios.tcsetwinsize(main, (24, 80))
    with os.fdopen(worker, "w") as terminal:
        shown = subprocess.run([sys.executable, "-c", WORK], stderr=terminal, check=True, cwd=ROOT)
    piped = subprocess.run([sys.executable, "-c", WORK], stderr=subprocess.PIPE, check=True, cwd=ROOT)

    assert shown.returncode == 0
    assert "2/2" in os.read(main, 65_536).decode()
    assert piped.stderr == b""
    os.close(main)
