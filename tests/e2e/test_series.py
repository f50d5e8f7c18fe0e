"""A check's figures are in a Neptune offline run on disk."""

import json

from tests.running import SONG, run, wait_until


def test_an_offline_run_holds_the_drift_series_of_a_check(serve, database, trained, tmp_path):
    serve().post("/predict", [SONG | {"tempo": 60.0 + i / 10} for i in range(500)])
    wait_until(lambda: database["predictions"].count_documents({}) == 500)

    done = run("mlops", "monitor", "songs", "--json", STATE_DIR=tmp_path / "checked", **trained)

    report = json.loads(done.stdout)
    tempo = next(check for check in report["features"] if check["feature"] == "tempo")
    series = logged(tmp_path / "checked" / "neptune")
    assert series["drift/tempo/statistic"] == [tempo["statistic"]]
    assert series["drift/tempo/n"] == [500.0]


def logged(folder):
    """Return the float series in the operations that the client keeps for a later sync."""
    found = {}
    for file in sorted(folder.rglob("data-*.log")):
        text, decoder, place = file.read_text(), json.JSONDecoder(), 0
        while place < len(text):
            entry, place = decoder.raw_decode(text, place)
            place += len(text[place:]) - len(text[place:].lstrip())
            operation = entry["obj"]
            if operation["type"] == "LogFloats":
                name = "/".join(operation["path"])
                found.setdefault(name, []).extend(item["value"] for item in operation["values"])
    return found
