"""Each request of ``docs/scenarios``, and each example of the API's description, sent to real models."""

import json
import uuid
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from data.__main__ import main as make_data
from model.__main__ import main
from tests.running import ROOT, Service
from utils.mongo import connection

FOLDER = ROOT / "docs" / "scenarios"
FILES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
SCENARIOS = [(name, scenario) for name, found in FILES.items() for scenario in found["scenarios"]]
# Of songs few are positive, so they need more.
N_ROWS = dict.fromkeys(FILES, 600) | {"songs": 3_000}


@pytest.fixture(scope="module")
def service(mongo_uri, tmp_path_factory):
    """All bundled models, trained on part of the simulated tables to save time."""
    folder = tmp_path_factory.mktemp("scenarios")
    settings = {"MONGO_URI": mongo_uri, "MONGO_DB": f"scenarios_{uuid.uuid4().hex[:12]}"}
    settings |= {"SIGNING_KEY": "the key of these tests"}
    for name in FILES:
        _train(name, folder, {**settings, "STATE_DIR": str(folder / "state"), "LOG_LEVEL": "ERROR"})
    with Service(folder / "serving", **settings) as found:
        yield found.wait_until_ready(120)
    db = connection.connect(mongo_uri, settings["MONGO_DB"])
    db.client.drop_database(db.name)
    connection.close(db)


def _train(name: str, folder: Path, settings: dict[str, str]) -> None:
    assert CliRunner().invoke(make_data, ["make", name]).exit_code == 0
    rows = pd.read_csv(ROOT / "data" / name / f"{name}.csv", dtype=object, keep_default_na=False)
    rows.head(N_ROWS[name]).to_csv(folder / f"{name}.csv", index=False)
    command = ["train", name, "--data", str(folder / f"{name}.csv"), "--promote"]
    result = CliRunner().invoke(main, command, env=settings)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("name", "scenario"), SCENARIOS, ids=[f"{name}: {found['name']}" for name, found in SCENARIOS]
)
def test_a_scenario_is_answered_as_described(service, name, scenario):
    status, body = service.post(FILES[name]["route"], scenario["request"])

    assert (status, body.get("model", name)) == (scenario["status"], name), body
    if status == 200:
        (answer,) = body["predictions"]
        _assert_like(answer, scenario["answer"])
    else:
        found = [{key: fault[key] for key in ("pointer", "code")} for fault in body["errors"]]
        assert found == scenario["errors"]


def _assert_like(answer, wanted):
    for key, value in wanted.items():
        if key == "warnings":
            found = [f"{one['code']} {one['feature']}" for one in answer[key]]
            assert all(any(one.startswith(text) for one in found) for text in value), found
            assert value or not found, found
        elif isinstance(value, dict):
            _assert_like(answer[key], value)
        elif isinstance(value, list) and isinstance(value[0], int | float):
            assert value[0] <= answer[key] <= value[1], (key, answer)
        else:
            assert answer[key] == value, (key, answer)


def test_every_model_has_good_and_bad_requests():
    for name, found in FILES.items():
        statuses = [scenario["status"] for scenario in found["scenarios"]]
        assert statuses.count(200) >= 2 and statuses.count(422) >= 2, name


def test_the_tensors_of_the_page_on_answers_are_answered(service):
    text = (ROOT / "docs" / "answers.md").read_text()
    body = text.partition("/titanic/infer -d '")[2].partition("'")[0]

    status, answer = service.post("/v2/models/titanic/infer", body.encode())

    assert (status, answer["id"]) == (200, "7")
    names = {output["name"] for output in answer["outputs"]}
    assert names == {
        "prediction",
        "prediction_id",
        "warnings",
        "class",
        "probability",
        "probabilities",
        "set",
    }


def test_every_example_of_the_description_works(service):
    _, document = service.get("/openapi.json")

    sent = []
    for path, operations in document["paths"].items():
        if operations.get("post", {}).get("tags", [""])[0].startswith("Predictions"):
            content = operations["post"]["requestBody"]["content"]["application/json"]
            for name, example in content.get("examples", {"": {"value": content.get("example")}}).items():
                url = path.replace("{model}", name).replace("{version}", "1")
                status, body = service.post(url, example["value"])
                assert status == 200, (url, body)
                sent.append((path, name))
    assert {name for path, name in sent if path == "/models/{model}/predict"} == set(FILES)
    assert {"/predict", "/invocations", "/v1/prediction", "/predict-song"} <= {path for path, _ in sent}
    assert ("/v2/models/{model}/infer", "cars") in sent


@pytest.mark.parametrize("name", sorted(FILES))
def test_contributions_of_an_answer_add_up_to_its_score(service, name):
    request = FILES[name]["scenarios"][0]["request"]

    status, body = service.post(f"/models/{name}/predict?explain=true", request)

    assert status == 200, body
    found = body["predictions"][0]["explanation"]
    assert found["method"] in ("exact", "sampled")
    assert list(found["contributions"]) == service.get(f"/models/{name}")[1]["features"]
    assert found["base"] + sum(found["contributions"].values()) == pytest.approx(found["score"])


@pytest.mark.parametrize("query", ["note=explained", "explained", "explain=false", "explain=no"])
def test_nothing_is_explained_to_who_did_not_ask(service, query):
    status, body = service.post(f"/models/trees/predict?{query}", FILES["trees"]["scenarios"][0]["request"])

    assert status == 200, body
    assert "explanation" not in body["predictions"][0]
