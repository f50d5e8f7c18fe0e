"""Other servers' protocols, spoken by their own clients, answer and log as ``/predict`` does."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton

from tests.running import SONG, wait_until

N_ROWS = 3
SONGS = pd.DataFrame([SONG | {"tempo": 90.0 + i} for i in range(N_ROWS)])
MATRIX = SONGS.astype(np.float64).to_numpy()


@pytest.fixture
def client(service):
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as found:
        yield found


@pytest.fixture(scope="module")
def wanted(service):
    """What ``/predict`` answers for the rows."""
    _, body = service.post("/predict", json.loads(SONGS.to_json(orient="records")))
    return [row["probability"] for row in body["predictions"]]


def tensor(name, values, datatype=None, is_binary=True):
    values = np.asarray(values)
    found = triton.InferInput(name, list(values.shape), datatype or triton.np_to_triton_dtype(values.dtype))
    found.set_data_from_numpy(values, binary_data=is_binary)
    return found


def named(is_binary, shape=(-1,)):
    kinds = {"tempo": np.float32, "key": np.int32}
    columns = {name: SONGS[name].to_numpy(dtype=kinds.get(name, SONGS[name].dtype)) for name in SONGS}
    return [tensor(name, values.reshape(shape), is_binary=is_binary) for name, values in columns.items()]


@pytest.mark.parametrize("is_binary", [True, False])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_triton_s_client_sends_a_tensor_a_feature(client, wanted, is_binary, shape):
    answer = client.infer("songs", named(is_binary, shape), request_id="mine")

    assert answer.as_numpy("probability") == pytest.approx(wanted, abs=1e-6)
    assert answer.as_numpy("probabilities").shape == (N_ROWS, 2)
    assert answer.get_response()["id"] == "mine"


@pytest.mark.parametrize("is_binary", [True, False])
def test_triton_s_client_sends_one_tensor_with_all_features(client, wanted, is_binary):
    outputs = [triton.InferRequestedOutput(name, binary_data=is_binary) for name in ("class", "probability")]

    answer = client.infer(
        "songs", [tensor("x", MATRIX, is_binary=is_binary)], model_version="1", outputs=outputs
    )

    assert answer.as_numpy("probability") == pytest.approx(wanted)
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["class", "probability"]


def test_triton_s_client_reads_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("songs") and client.is_model_ready("songs", "1")
    assert not client.is_model_ready("nothing")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("songs")
    assert [one["name"] for one in metadata["inputs"]] == list(SONG)
    assert {"prediction", "probability", "prediction_id"} <= {one["name"] for one in metadata["outputs"]}


def test_a_row_by_tensors_is_logged_as_any_other(client, service):
    answer = client.infer("songs", named(True))

    ids = [text.decode() for text in answer.as_numpy("prediction_id")]
    wait_until(lambda: service.get(f"/predictions/{ids[-1]}")[0] == 200)
    _, logged = service.get(f"/predictions/{ids[-1]}")
    assert (logged["row"], logged["features"]["tempo"]) == (N_ROWS - 1, 90.0 + N_ROWS - 1)


def test_a_fault_in_a_tensor_is_told_to_triton_s_client(client):
    with pytest.raises(triton.InferenceServerException, match="3 faults") as caught:
        client.infer("songs", named(True)[:-1])

    assert caught.value.status() == "422"


def infer(service, body, **headers):
    return service.post("/v2/models/songs/infer", body, **headers)


def row_tensors(**changes):
    return [
        {"name": name, "datatype": "FP64", "shape": [1], "data": [value]}
        for name, value in (SONG | changes).items()
    ]


def test_parameters_are_echoed_and_texts_read_as_numbers(service):
    tensors = [t | {"datatype": "BYTES", "data": [str(t["data"][0])]} for t in row_tensors()]

    status, body = infer(service, {"inputs": tensors, "parameters": {"content_type": "pd"}})

    assert (status, body["parameters"]) == (200, {"content_type": "pd"})
    assert body["model_name"] == "songs"


def test_pointers_lead_to_the_value_in_the_tensor(service):
    inputs = [t | {"shape": [2], "data": t["data"] * 2} for t in row_tensors()]
    inputs[3]["data"] = [1, True]

    status, body = infer(service, {"inputs": inputs})

    assert (status, body["error"]) == (422, body["detail"])
    assert [fault["pointer"] for fault in body["errors"]] == ["#/inputs/3/data/1"]


BAD_TENSORS = [
    ("no tensors", {"inputs": []}, 422),
    ("no inputs", {}, 422),
    ("a list", [1], 422),
    ("unknown datatype", {"inputs": [{"name": "x", "datatype": "FP7", "shape": [1], "data": [1]}]}, 422),
    ("wrong shape", {"inputs": [{"name": "x", "datatype": "FP64", "shape": [2, 13], "data": [1]}]}, 422),
    ("negative", {"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 13], "data": [1]}]}, 422),
    ("no data", {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 13]}]}, 422),
    ("no features", {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}, 422),
    ("three axes", {"inputs": [{"name": "tempo", "datatype": "FP64", "shape": [1, 1, 1], "data": [1]}]}, 422),
    ("twice", {"inputs": row_tensors() + row_tensors()}, 422),
    ("lengths", {"inputs": [*row_tensors()[1:], row_tensors()[0] | {"shape": [2], "data": [1, 2]}]}, 422),
    ("unknown output", {"inputs": row_tensors(), "outputs": [{"name": "y"}]}, 400),
    ("raw", {"inputs": [row_tensors()[0] | {"parameters": {"binary_data_size": 8}}]}, 400),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status"), [case[1:] for case in BAD_TENSORS], ids=[c[0] for c in BAD_TENSORS]
)
def test_tensors_that_cannot_be_read_are_refused_with_the_reason(service, body, status):
    found, answer = infer(service, body)

    assert (found, answer["error"]) == (status, answer["detail"])


@pytest.mark.parametrize("size", ["-1", "x", "99999999", "0"])
def test_a_wrong_size_of_the_json_is_refused(service, size):
    body = json.dumps({"inputs": row_tensors()}).encode() + b"\0" * 8

    status, answer = infer(service, body, **{"Inference-Header-Content-Length": size})

    assert status == 400 and answer["error"]


def test_mlflow_s_client_scores_a_data_frame(service, wanted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import tells of its own type hints
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient
    host, _, port = service.url.removeprefix("http://").partition(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready(timeout=10)

    answer = client.invoke(SONGS)

    assert answer.get_predictions().shape == (N_ROWS, 1)
    assert answer["predictions"] == [int(probability >= 0.5) for probability in wanted]


RECORDS = json.loads(SONGS.to_json(orient="records"))
SHAPES = [
    {"dataframe_split": json.loads(SONGS.to_json(orient="split", index=False))},
    {"dataframe_records": RECORDS},
    {"instances": RECORDS},
    {"instances": MATRIX.tolist()},
    {"inputs": SONGS.to_dict(orient="list")},
    {"inputs": {name: SONGS[[name]].to_numpy().tolist() for name in SONGS}},
    {"inputs": MATRIX.tolist()},
]


@pytest.mark.parametrize("body", SHAPES)
def test_all_forms_of_an_invocation_give_the_same_answer(service, wanted, body):
    status, answer = service.post("/invocations?model=songs&details=true", body)

    assert (status, set(answer)) == (200, {"predictions"})
    assert [row["probability"] for row in answer["predictions"]] == pytest.approx(wanted)


def test_csv_is_invoked_and_predictions_are_plain(service):
    status, answer = service.post(
        "/invocations", SONGS.to_csv(index=False).encode(), **{"Content-Type": "text/csv"}
    )

    assert (status, set(answer), len(answer["predictions"])) == (200, {"predictions"}, N_ROWS)


BAD_INVOCATIONS = [
    ([SONG], 400, None),
    ({}, 400, None),
    ({"instances": [SONG], "inputs": [SONG]}, 400, None),
    ({"dataframe_split": {"data": [[1]]}}, 422, "#/dataframe_split"),
    ({"dataframe_split": {"columns": ["tempo"], "data": [[1, 2]]}}, 422, "#/dataframe_split/data/0"),
    ({"dataframe_split": {"columns": list(SONG), "data": [["x", *list(SONG.values())[1:]]]}}, 422,
     "#/dataframe_split/data/0/0"),
    ({"dataframe_records": SONG}, 422, "#/dataframe_records"),
    ({"dataframe_records": [SONG, SONG | {"tempo": "x"}]}, 422, "#/dataframe_records/1/tempo"),
    ({"instances": [[1, 2]]}, 422, "#/instances/0"),
    ({"inputs": SONGS.to_dict(orient="list") | {"tempo": [1, "x", 3]}}, 422, "#/inputs/tempo/1"),
    ({"inputs": {"tempo": [1, 2], "key": [1]}}, 422, "#/inputs"),
    ({"instances": []}, 422, "#"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "pointer"), BAD_INVOCATIONS)
def test_an_invocation_that_cannot_be_read_is_refused_with_the_place(service, body, status, pointer):
    found, answer = service.post("/invocations", body)

    assert (found, pointer) == (status, answer["errors"][0]["pointer"] if pointer else None)


def test_what_is_no_model_is_not_found_by_either_protocol(service):
    assert service.post("/invocations?model=nothing", {"instances": [SONG]})[0] == 404
    assert service.post("/v2/models/nothing/infer", {"inputs": row_tensors()})[0] == 404
    assert service.post("/v2/models/songs/versions/99/infer", {"inputs": row_tensors()})[0] == 404
    assert service.get("/v2/models/nothing")[0] == 404


def test_all_protocols_ask_for_the_same_key(serve):
    service = serve(API_KEYS="k" * 16, ADMIN_API_KEYS="a" * 16)

    for path in ("/invocations", "/v2/models/songs/infer"):
        assert service.post(path, {})[0] == 401
    assert service.get("/v2/models/songs")[0] == 401
    assert service.get("/ping")[0] == 200
