"""What callers meet: every shape that is accepted, and a clear answer to everything else."""

import json

import pytest

from tests.running import SONG, wait_until

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/predict", "/v1/predict", "/predict-song", "/models/songs/predict"])
def test_all_routes_of_the_default_model_answer(service, path):
    status, body = service.post(path, SONG)

    assert (status, body["model"], len(body["predictions"])) == (200, "songs", 1)


@pytest.mark.parametrize(
    ("body", "kind", "n_rows"),
    [
        (SONG, "application/json", 1),
        ([SONG, SONG], "application/json; charset=utf-8", 2),
        ({"data": SONG}, "application/json", 1),
        ({"data": [SONG] * 3}, "application/vnd.api+json", 3),
        ({"instances": [SONG]}, "application/json", 1),
        (",".join(SONG) + "\n" + ",".join(map(str, SONG.values())), "text/csv", 1),
    ],
)
def test_all_shapes_of_body_give_the_same_answer(service, body, kind, n_rows):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    status, answer = service.post("/predict", data, **{"Content-Type": kind})

    _, single = service.post("/predict", SONG)
    assert (status, len(answer["predictions"])) == (200, n_rows)
    assert answer["predictions"][-1]["probability"] == pytest.approx(single["predictions"][0]["probability"])


def test_an_answer_has_the_shape_of_the_contract(service):
    _, body = service.post("/predict", SONG, **{"X-Request-ID": "my-id.1"})

    (row,) = body["predictions"]
    assert set(body) == {"model", "version", "request_id", "predictions"}
    assert body["request_id"] == "my-id.1"
    assert set(row) == {"prediction_id", "prediction", "class", "probability", "probabilities", "warnings"}
    assert row["probability"] == row["probabilities"]["reggaeton"]
    assert sum(row["probabilities"].values()) == pytest.approx(1)


def test_headers_name_request_and_version(service):
    answer = service.http.request("POST", f"{service.url}/predict", body=json.dumps(SONG), headers=JSON)

    assert answer.headers["X-Model-Version"] == answer.json()["version"]
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"]


def test_a_request_id_that_could_forge_headers_or_logs_is_replaced(service):
    answer = service.http.request("GET", f"{service.url}/healthz", headers={"X-Request-ID": "a b<c>" * 40})

    assert "<" not in answer.headers["X-Request-ID"]


def test_odd_values_are_answered_with_a_warning(service):
    _, body = service.post("/predict", SONG | {"tempo": 999.0, "colour": "red"})

    found = {(warning["code"], warning["feature"]) for warning in body["predictions"][0]["warnings"]}
    assert found == {("out_of_range", "tempo"), ("unknown_field", "colour")}


def without(name):
    return {key: value for key, value in SONG.items() if key != name}


BAD = [
    ("empty", b"", 400, None),
    ("not JSON", b"tempo=1", 400, None),
    ("half JSON", b'{"tempo": ', 400, None),
    ("two documents", b"{}{}", 400, None),
    ("NaN", json.dumps(SONG | {"tempo": float("nan")}).encode(), 400, None),
    ("infinity", json.dumps(SONG | {"tempo": float("inf")}).encode(), 400, None),
    ("a number too large for a double", json.dumps(SONG).replace("102.0", "1e999").encode(), 422, "#/tempo"),
    ("an integer of 400 digits", json.dumps(SONG).replace("102.0", "9" * 400).encode(), 422, "#/tempo"),
    ("an integer of 5000 digits", json.dumps(SONG).replace("102.0", "9" * 5_000).encode(), 422, "#/tempo"),
    ("not UTF-8", b'{"tempo": "\xff"}', 400, None),
    ("a lone surrogate", b'{"tempo": "\\ud800"}', 400, None),
    ("nested very deeply", b"[" * 200_000, 400, None),
    ("null", b"null", 422, "#"),
    ("a number", b"7", 422, "#"),
    ("a text", b'"song"', 422, "#"),
    ("no rows", b"[]", 422, "#"),
    ("no rows in data", b'{"data": []}', 422, "#"),
    ("rows that are numbers", b"[1, 2]", 422, "#/0"),
    ("rows that are lists", b"[[1, 2]]", 422, "#/0"),
    ("an empty row", b"{}", 422, "#/tempo"),
    ("a missing field", json.dumps(without("tempo")).encode(), 422, "#/tempo"),
    ("a null field", json.dumps(SONG | {"tempo": None}).encode(), 422, "#/tempo"),
    ("text for a number", json.dumps(SONG | {"tempo": "fast"}).encode(), 422, "#/tempo"),
    ("a number as text", json.dumps(SONG | {"tempo": "102"}).encode(), 422, "#/tempo"),
    ("true for a number", json.dumps(SONG | {"tempo": True}).encode(), 422, "#/tempo"),
    ("a list for a number", json.dumps(SONG | {"tempo": [102]}).encode(), 422, "#/tempo"),
    ("an operator for a number", json.dumps(SONG | {"tempo": {"$gt": ""}}).encode(), 422, "#/tempo"),
    ("only an operator", b'{"$gt": ""}', 422, "#/tempo"),
    ("a fraction for an integer", json.dumps(SONG | {"key": 1.5}).encode(), 422, "#/key"),
    ("a huge integer", json.dumps(SONG | {"key": 10**30}).encode(), 422, "#/key"),
    ("an object for the id", json.dumps(SONG | {"id_new": {"$ne": 1}}).encode(), 422, "#/id_new"),
    (
        "one bad row of three",
        json.dumps({"data": [SONG, SONG, without("key")]}).encode(),
        422,
        "#/data/2/key",
    ),
    ("10 MB", b'{"data": [' + b" " * 10_000_000 + b"]}", 413, None),
    ("too many rows", json.dumps([{}] * 10_001).encode(), 413, None),
]


@pytest.mark.parametrize(
    ("body", "status", "pointer"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_a_bad_body_is_a_problem_that_points_at_the_fault(service, body, status, pointer):
    answer = service.http.request("POST", f"{service.url}/predict", body=body, headers=JSON)

    problem = answer.json()
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
    assert "Traceback" not in answer.data.decode()
    if pointer:
        assert pointer in [fault["pointer"] for fault in problem["errors"]]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-16", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/xml", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
def test_another_type_of_body_is_refused(service, kind, status):
    answered, problem = service.post("/predict", SONG, **{"Content-Type": kind})

    assert (answered, problem["status"]) == (status, status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/predict", 405),
        ("POST", "/models/nobody/predict", 404),
        ("POST", "/models/songs/versions/99/predict", 404),
        ("POST", "/models/songs/versions/%24ne/predict", 404),
        ("GET", "/models/nobody", 404),
        ("GET", "/models/..%2f..%2fetc/schema", 404),
        ("GET", "/predictions/nothing", 404),
        ("GET", "/models/songs/drift?limit=x", 422),
        ("GET", "/models/songs/history?at=yesterday", 422),
    ],
)
def test_what_is_not_there_is_a_problem_too(service, method, path, status):
    answer = service.http.request(
        method, service.url + path, body=json.dumps(SONG) if method == "POST" else None, headers=JSON
    )

    assert (answer.status, answer.json()["status"]) == (status, status)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_answers_get_and_head(service, method, path):
    assert service.http.request(method, service.url + path).status == 200


def test_refused_rows_are_counted_without_their_values_and_not_lost_by_a_stop(serve, database):
    database["rejections"].delete_many({})
    service = serve()
    service.post("/predict", SONG | {"tempo": "s3cret"})
    service.stop()

    (found,) = database["rejections"].find({"reasons": [{"reason": "type tempo", "n_rows": 1}]})
    assert "s3cret" not in str(found)


def test_a_logged_prediction_can_be_looked_up(service):
    _, body = service.post("/predict", SONG | {"id_new": 2301})
    prediction_id = body["predictions"][0]["prediction_id"]
    wait_until(lambda: service.get(f"/predictions/{prediction_id}")[0] == 200)

    _, found = service.get(f"/predictions/{prediction_id}")

    assert (found["features"]["tempo"], found["kept"]) == (102.0, {"id_new": 2301})


def test_models_and_their_schema_are_described(service):
    _, models = service.get("/models")
    _, songs = service.get("/models/songs")
    _, schema = service.get("/models/songs/schema")

    assert songs in models["models"]
    assert songs["served_by"] == "compiled"
    assert 0 < songs["threshold"] < 1
    assert "tempo" in schema["required"]
    assert service.post("/predict", schema["examples"][0])[0] == 200


def test_a_named_version_answers_as_the_champion_does(service):
    _, songs = service.get("/models/songs")

    status, body = service.post(f"/models/songs/versions/{songs['version']}/predict", SONG)

    assert (status, body["version"]) == (200, songs["version"])


def test_openapi_lists_the_routes_with_an_example_that_works(service):
    _, document = service.get("/openapi.json")

    example = document["paths"]["/predict-song"]["post"]["requestBody"]["content"]["application/json"][
        "example"
    ]
    assert document["openapi"] == "3.1.0"
    assert {"/predict", "/models/{model}/drift", "/healthz"} <= document["paths"].keys()
    assert service.post("/predict-song", example)[0] == 200


def test_pages_load_nothing_from_elsewhere(service):
    for path in ("/dashboard", "/dashboard/songs", "/docs"):
        status, page = service.get(path)

        assert status == 200
        assert "<h1>" in page
        assert 'src="http' not in page and 'href="http' not in page
