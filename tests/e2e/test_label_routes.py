"""Labels from request to store, over HTTP and by the command line, with a real service."""

import json

import pytest
import urllib3

from tests.running import SONG, Service, free_port, run, wait_until


@pytest.fixture
def predicted(service, database):
    """Return the ids of three stored predictions of a service without labels."""
    database["labels"].delete_many({})
    _, body = service.post("/predict", [SONG] * 3)
    ids = [row["prediction_id"] for row in body["predictions"]]
    wait_until(lambda: database["predictions"].count_documents({"_id": {"$in": ids}}) == 3)
    return ids


def stored(database):
    return {found["_id"]: found["label"] for found in database["labels"].find()}


@pytest.mark.parametrize("path", ["/labels", "/feedback"])
def test_labels_are_stored_by_prediction_id(service, database, predicted, path):
    labels = [{"prediction_id": one, "label": 1} for one in predicted[:2]]

    assert service.post(path, labels) == (200, {"labels": 2, "waiting": 0})
    assert stored(database) == {predicted[0]: 1, predicted[1]: 1}


def test_one_label_and_a_wrapped_list_and_csv_are_taken_too(service, database, predicted):
    first, second, third = predicted

    service.post("/labels", {"prediction_id": first, "label": "0"})
    service.post("/labels", {"labels": [{"prediction_id": second, "label": True}]})
    csv = f"prediction_id,label\n{third},1\n".encode()
    service.post("/labels", csv, **{"Content-Type": "text/csv"})

    assert stored(database) == {first: 0, second: 1, third: 1}


def test_the_last_label_wins_and_a_repeated_one_counts_once(service, database, predicted):
    for label in (1, 1, 0, 0):
        service.post("/labels", [{"prediction_id": predicted[0], "label": label}])

    found = database["labels"].find_one({"_id": predicted[0]})
    assert (found["label"], [old["label"] for old in found["history"]]) == (0, [1])
    assert service.get(f"/predictions/{predicted[0]}")[1]["label"] == 0


def test_a_label_before_its_prediction_waits(service, database, predicted):
    assert service.post("/labels", [{"prediction_id": "later", "label": "whatever"}]) == (
        200,
        {"labels": 1, "waiting": 1},
    )


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"label": 2}, "label"),
        ({"label": None}, "label"),
        ({"label": [1]}, "label"),
        ({"prediction_id": None, "label": 1}, "prediction_id"),
        ({"prediction_id": {"$ne": 1}, "label": 1}, "prediction_id"),
    ],
)
def test_a_bad_label_is_pointed_at_and_nothing_is_stored(service, database, predicted, entry, field):
    good = {"prediction_id": predicted[0], "label": 1}

    status, problem = service.post("/labels", [good, {"prediction_id": predicted[1], **entry}])

    assert (status, problem["errors"][0]["pointer"]) == (422, f"#/1/{field}")
    assert stored(database) == {}


@pytest.mark.parametrize(("body", "status"), [(b"[]", 422), (b"7", 422), (b"[1]", 422), (b"[", 400)])
def test_a_body_without_labels_is_refused(service, body, status):
    assert service.post("/labels", body)[0] == status


def test_labels_are_imported_from_files(database, predicted, trained, tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("prediction_id,label\n" + "".join(f"{one},1\n" for one in [*predicted, "later"]))

    done = run("mlops", "labels", "import", str(file), "--json", STATE_DIR=tmp_path, **trained)

    assert json.loads(done.stdout) == {"labels": 4, "waiting": 1}, done.stderr
    assert stored(database) == dict.fromkeys(predicted, 1) | {"later": "1"}


def test_labels_that_cannot_be_stored_now_are_refused_with_a_time_to_try_again(trained, tmp_path):
    away = f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=200"

    with Service(tmp_path, **{**trained, "MONGO_URI": away}) as service:
        wait_until(lambda: answers(service))
        answer = service.http.request(
            "POST", f"{service.url}/labels", body=b'{"prediction_id": "a", "label": 1}'
        )

    assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)


def answers(service):
    try:
        return service.get("/healthz")[0] == 200
    except urllib3.exceptions.HTTPError:
        return False
