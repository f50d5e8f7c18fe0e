"""From a file to a spec that trains without a hand-made change."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from model import frame, spec, training
from model.drafting import draft
from model.drafting.targets import goal_of
from model.schema import Schema
from utils.errors import TableError

N = 200
RNG = np.random.default_rng(7)
SIZE = RNG.normal(50, 10, N)


def columns():
    return {
        "running": range(N),
        "prix d'achat ($)": [f"{value:.2f}" if i % 9 else "" for i, value in enumerate(SIZE)],
        "a.b": RNG.integers(0, 5, N),
        "$where": RNG.choice(["x", "y"], N),
        'say "so"': RNG.choice(["red", "green", "None"], N),
        "née: le #1": [f"{1 + i % 28:02}.{1 + i % 12:02}.20{i % 20:02}" for i in range(N)],
        " blank ": RNG.choice(["true", "false"], N),
        "range": [f"{value:.1f} km" for value in RNG.uniform(1, 99, N)],
        "constant": 1,
        "empty": "",
        "%": RNG.uniform(size=N).round(3),
        "- list": RNG.choice(["no", "null ", "~"], N),
        "y": ["yes" if value > 50 else "no" for value in SIZE],
    }


def written(tmp_path, table, name="mine.csv", **options):
    path = tmp_path / name
    pd.DataFrame(table).to_csv(path, index=False, **options)
    return path


def drafted(path, target="y"):
    return draft(path, target, "mine", path.name)


def codes(found):
    return {(doubt.code, doubt.column) for doubt in found.doubts}


def test_a_draft_reads_back_and_trains_and_accepts_its_own_rows(tmp_path):
    path = written(tmp_path, columns())
    found = drafted(path)
    ours = spec.loads(found.text)
    trained = training.train(ours, frame.read_table(path, ours))
    rows = json.loads(pd.read_csv(path).drop(columns="y").to_json(orient="records"))

    batch = Schema(trained.spec).from_json(json.dumps(rows).encode())

    assert ours == found.spec
    assert trained.not_compiled == ""
    assert trained.trained_on["n_incomplete"] == 0
    assert [warnings for warnings in batch.warnings if warnings] == []


def test_constants_and_names_of_rows_are_left_out(tmp_path):
    found = drafted(written(tmp_path, columns()))

    assert (found.spec.id, found.spec.ignored) == ("running", ("constant", "empty"))
    assert "always '1'" in found.text
    assert "numbers of the rows" in found.text


def test_the_kinds_of_all_columns_are_found(tmp_path):
    features = drafted(written(tmp_path, columns())).spec.features

    assert {name: feature.type for name, feature in features.items()} == {
        "prix d'achat ($)": "number",
        "a.b": "integer",
        "$where": "category",
        'say "so"': "category",
        "née: le #1": "date",
        " blank ": "boolean",
        "range": "number",
        "%": "number",
        "- list": "category",
    }
    assert features["prix d'achat ($)"].missing and not features["a.b"].missing
    assert features["range"].written.after == ("km",)


@pytest.mark.parametrize(
    ("leak", "word"),
    [
        (lambda y: y, "alone predicts"),
        (lambda y: [{"yes": 3.7, "no": 1.2}[label] for label in y], "alone predicts"),
        (lambda y: [5.0 if label == "yes" else "" for label in y], "always"),
    ],
)
def test_a_column_that_knows_the_target_is_left_out(tmp_path, leak, word):
    table = columns()
    found = drafted(written(tmp_path, table | {"copy": leak(table["y"])}))

    assert "copy" in found.spec.ignored
    assert word in found.text


def test_a_column_that_is_there_for_one_class_only_is_a_leak(tmp_path):
    table = columns()
    found = drafted(
        written(tmp_path, table | {"late": [i if y == "yes" else "" for i, y in enumerate(table["y"])]})
    )

    assert ("leak", "late") in codes(found) or found.spec.id == "late" or "late" in found.spec.ignored


def test_parts_that_add_up_to_the_target_are_left_out(tmp_path):
    casual, registered = RNG.integers(0, 400, N), RNG.integers(0, 900, N)
    table = {"casual": casual, "registered": registered, "hour": range(N), "cnt": casual + registered}
    table["weather"] = RNG.normal(size=N)
    found = drafted(written(tmp_path, table), "cnt")

    assert {("leak", "casual"), ("leak", "registered")} <= codes(found)
    assert list(found.spec.features) == ["weather"]


def test_names_of_what_comes_later_and_of_predictions_are_told(tmp_path):
    table = columns() | {"final_grade": RNG.normal(size=N), "y_pred": RNG.normal(size=N)}
    found = drafted(written(tmp_path, table))

    assert {("known_later", "final_grade"), ("leak", "y_pred")} <= codes(found)
    assert "y_pred" in found.spec.ignored and "final_grade" in found.spec.features


def test_columns_that_know_the_target_together_are_told(tmp_path):
    a, b = RNG.integers(0, 2, N), RNG.integers(0, 2, N)
    table = {"a": a, "b": b, "c": RNG.normal(size=N), "y": np.where(a & b, "both", "not")}

    doubts = drafted(written(tmp_path, table)).doubts

    assert any(doubt.code == "too_good" and "a" in doubt.detail for doubt in doubts)


def test_what_stands_for_a_gap_is_missing_in_files_and_requests(tmp_path):
    table = {"n": ["1", "2", "?", "4"] * 50, "t": ["a", "?", "b", "c"] * 50, "y": ["u", "v"] * 100}
    found = drafted(written(tmp_path, table))

    assert "?" in found.spec.data.missing_values
    assert found.spec.features["t"].categories == ("a", "b", "c")
    assert Schema(found.spec).from_json(b'{"n": "?", "t": "a"}').values == [(None, "a")]
    assert Schema(found.spec).from_json(b'{"n": 1, "t": "?"}').values == [(1, None)]


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"sep": ";"}, {"separator": ";"}),
        ({"sep": "\t"}, {"separator": "\t"}),
        ({"sep": "|", "encoding": "utf-8-sig"}, {"separator": "|"}),
        ({"sep": ";", "decimal": ","}, {"separator": ";", "decimal": ","}),
        ({"encoding": "cp1252"}, {"encoding": "cp1252"}),
        ({"compression": "gzip"}, {}),
    ],
)
def test_other_sorts_of_files_are_read_and_train(tmp_path, options, data):
    table = {
        "größe": RNG.normal(size=N).round(2),
        "b": RNG.normal(size=N).round(2),
        "y": ["ja", "nein"] * (N // 2),
    }
    path = written(tmp_path, table, "mine.csv.gz" if "compression" in options else "mine.csv", **options)
    found = drafted(path)

    for name, value in data.items():
        assert getattr(found.spec.data, name) == value
    assert len(frame.labelled_rows(found.spec, frame.read_table(path, found.spec))) == N
    assert set(found.spec.features) == {"größe", "b"}


def test_parquet_is_read_too(tmp_path):
    table = {
        "when": pd.date_range("2020-01-01", periods=N),
        "b": RNG.normal(size=N),
        "y": [True, False] * (N // 2),
    }
    path = tmp_path / "mine.parquet"
    pytest.importorskip("pyarrow")
    pd.DataFrame(table).to_parquet(path)

    found = drafted(path)

    assert {name: feature.type for name, feature in found.spec.features.items()} == {
        "when": "date",
        "b": "number",
    }
    assert found.spec.labels == (False, True)


@pytest.mark.parametrize(
    ("texts", "task", "labels"),
    [
        (["0", "1"] * 50, "classification", (0, 1)),
        (["3", "4", "5"] * 50, "classification", (3, 4, 5)),
        (["a", "b"] * 50, "classification", ("a", "b")),
        (["True", "False"] * 50, "classification", (False, True)),
        (["0.5", "1.5"] * 50, "classification", (0.5, 1.5)),
        (["1.5", "2.5", "3.5"] * 50, "regression", ()),
        ([str(i) for i in range(100)], "regression", ()),
    ],
)
def test_the_task_follows_from_the_target(texts, task, labels):
    goal = goal_of("y", pd.Series(texts, dtype=object))

    assert (goal.task, tuple(goal.target.classes or ())) == (task, labels)


def test_a_class_of_one_row_is_taken_for_unknown():
    goal = goal_of("y", pd.Series(["a", "b"] * 50 + ["rare", "?"], dtype=object))

    assert (goal.target.unknown, goal.gaps) == (("rare",), ("?",))
    assert "lonely_class" in {doubt.code for doubt in goal.doubts}


@pytest.mark.parametrize(
    ("texts", "positive"), [(["no", "yes"], "yes"), (["died", "lived"], "died"), (["a", "b"], "b")]
)
def test_the_positive_class_is_the_one_that_says_yes(texts, positive):
    assert goal_of("y", pd.Series(texts * 50, dtype=object)).target.positive == positive


def test_a_rare_class_is_told():
    doubts = goal_of("y", pd.Series(["0"] * 97 + ["1"] * 3, dtype=object)).doubts

    assert "unbalanced" in {doubt.code for doubt in doubts}


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("a,b\n1,2\n", "c", "no column 'c'. It has: a, b"),
        ("a,y\n1,2\n3,2\n", "y", "1 distinct values"),
        ("a\n1\n", "a", "two columns at least"),
        ("", "y", "cannot be read"),
        ("a,y\n1,x\n1,z\n1,x\n1,z\n", "y", "no column is left"),
        ("a,y\n" + "".join(f"{i},t{i}\n" for i in range(50)), "y", "occur more than once"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, text, target, message):
    (tmp_path / "mine.csv").write_text(text)

    with pytest.raises(TableError, match=message):
        drafted(tmp_path / "mine.csv", target)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        drafted(tmp_path / "gone.csv")


def test_bytes_that_are_no_text_say_so(tmp_path):
    (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(b"\x81\x8d\x8f,\x90\n1,2\n"))

    with pytest.raises(TableError, match="cannot be read"):
        drafted(tmp_path / "mine.csv.gz")
