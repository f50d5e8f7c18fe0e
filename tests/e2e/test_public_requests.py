"""The requests that came with the public songs table, sent as a file."""

import csv
import os
from pathlib import Path

import pytest

from tests.running import wait_until

PUBLIC = Path(os.environ.get("VIGIA_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
REQUESTS = PUBLIC / "songs_reggaeton" / "data_test.csv"
pytestmark = [
    pytest.mark.public_data,
    pytest.mark.skipif(
        not REQUESTS.is_file(), reason=f"no public tables (looked in {PUBLIC}; set VIGIA_PUBLIC_DATA)"
    ),
]


def test_the_file_is_answered_row_by_row_and_stored_with_the_same_ids(serve, database):
    with REQUESTS.open() as file:
        rows = list(csv.DictReader(file))

    status, body = serve().post("/predict-song", REQUESTS.read_bytes(), **{"Content-Type": "text/csv"})

    ids = [answer["prediction_id"] for answer in body["predictions"]]
    assert (status, len(ids)) == (200, len(rows))
    wait_until(lambda: database["predictions"].count_documents({}) == len(rows))
    stored = {found["_id"]: found for found in database["predictions"].find({})}
    assert [stored[i]["kept"]["id_new"] for i in ids] == [row["id_new"] for row in rows]
    assert [stored[i]["features"]["tempo"] for i in ids] == [float(row["tempo"]) for row in rows]
    assert [stored[i]["row"] for i in ids] == list(range(len(rows)))
