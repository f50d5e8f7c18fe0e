"""Tables to the columns that pipelines get."""

import math
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from model import frame, spec
from utils.errors import TableError

TEXT = """
name: t
task: classification
target: {name: y, classes: [0, 1]}
data: {train: t.csv}
features:
  amount: {type: number, missing: true}
  rooms: {type: integer, missing: true}
  is_new: {type: boolean, missing: true}
  day: {type: date, missing: true}
  kind: {type: category, missing: true}
"""
SPEC = spec.loads(TEXT)


def only(column, values):
    return frame.features_frame(SPEC, [{column: value} for value in values])[column].tolist()


def csv(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    return frame.read_table(path, SPEC)


def test_columns_come_in_spec_order_whatever_the_order_of_the_file(tmp_path):
    table = csv(tmp_path, "kind,y,other,amount\na,1,x,2.5\n")

    assert list(frame.features_frame(SPEC, table)) == ["amount", "rooms", "is_new", "day", "kind"]
    assert "other" not in table


def test_the_word_none_is_a_category_and_an_empty_cell_is_missing(tmp_path):
    kinds = frame.features_frame(SPEC, csv(tmp_path, "kind,amount\nNone,1\n,2\nNA,3\n"))["kind"]

    assert kinds[2] == "None"
    assert kinds[[3, 4]].isna().all()


def test_numbers_keep_the_very_bits_that_json_would_give(tmp_path):
    text = "0.1000000000000000055511151231257827021181583404541015625"

    assert frame.features_frame(SPEC, csv(tmp_path, f"amount\n{text}\n1e-320\n"))["amount"].tolist() == [
        0.1,
        1e-320,
    ]


@pytest.mark.parametrize("value", [3, 3.0, "3", np.int64(3), np.float32(3)])
def test_a_whole_number_is_the_same_category_however_it_is_written(value):
    assert only("kind", [value]) == ["3"]


@pytest.mark.parametrize("value", [True, "yes", "TRUE", 1, 1.0, "1.0", np.True_])
def test_all_ways_to_say_yes_are_one(value):
    assert only("is_new", [value, "no", False, 0]) == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "value", ["1970-01-03", date(1970, 1, 3), datetime(1970, 1, 3, tzinfo=UTC), pd.Timestamp("1970-01-03")]
)
def test_a_date_is_days_since_1970(value):
    assert only("day", [value]) == [2.0]


def test_a_date_is_read_by_the_format_of_the_spec():
    other = spec.loads(TEXT.replace("{type: date,", "{type: date, format: '%d.%m.%Y',"))

    assert frame.features_frame(other, [{"day": "03.01.1970"}])["day"].tolist() == [2.0]


@pytest.mark.parametrize("value", [None, math.nan, "", pd.NA, pd.NaT])
@pytest.mark.parametrize("column", ["amount", "rooms", "is_new", "day", "kind"])
def test_all_ways_to_be_missing_are_one(column, value):
    assert pd.isna(only(column, [value])[0])


def test_types_do_not_depend_on_the_values():
    table = frame.features_frame(SPEC, [{}, {}])

    assert [str(kind) for kind in table.dtypes] == ["float64", "float64", "float64", "float64", "object"]


@pytest.mark.parametrize(
    ("column", "value"),
    [("amount", "fast"), ("amount", "inf"), ("rooms", "2.5"), ("is_new", "maybe"), ("day", "soon")],
)
def test_a_cell_that_cannot_be_read_is_named_by_column_and_line(tmp_path, column, value):
    table = csv(tmp_path, f"{column},y\n,1\n{value},1\n")

    with pytest.raises(TableError, match=rf"'{column}', line 3: '{value}' is not an? "):
        frame.features_frame(SPEC, table)


def test_a_required_column_that_is_lacking_is_named():
    strict = spec.loads(TEXT.replace("amount: {type: number, missing: true}", "amount: {type: number}"))

    with pytest.raises(TableError, match=r"Lacking column: amount\."):
        frame.features_frame(strict, [{"rooms": 1}])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TableError, match=r"gone\.csv: no such file"):
        frame.read_table(tmp_path / "gone.csv", SPEC)


def test_a_gzipped_file_is_read_like_a_plain_one(tmp_path):
    path = tmp_path / "t.csv.gz"
    pd.DataFrame({"amount": [1.5], "y": [1]}).to_csv(path, index=False)

    assert frame.read_table(path, SPEC)["amount"].tolist() == ["1.5"]


def test_rows_without_a_label_are_left_out_and_counted():
    rows = frame.labelled_rows(
        SPEC, [{"amount": 1, "y": 1}, {"amount": 2, "y": None}, {"amount": 3, "y": ""}]
    )

    assert (len(rows), rows.n_unlabelled) == (1, 2)
    assert rows.features["amount"].tolist() == [1.0]


def test_an_unknown_label_is_named_with_its_line(tmp_path):
    with pytest.raises(TableError, match=r"'y', line 4: '7' is none of the labels 0, 1\."):
        frame.labelled_rows(SPEC, csv(tmp_path, "amount,y\n1,0\n2,1\n3,7\n"))


def test_a_table_without_its_target_says_so():
    with pytest.raises(TableError, match="Lacking the target column 'y'"):
        frame.labelled_rows(SPEC, [{"amount": 1}])


def test_rows_lacking_a_required_value_are_found():
    strict = spec.loads(TEXT.replace("amount: {type: number, missing: true}", "amount: {type: number}"))
    table = frame.features_frame(strict, [{"amount": 1}, {"amount": None, "rooms": 2}])

    assert frame.is_incomplete(strict, table).tolist() == [False, True]


def test_logged_columns_look_as_serving_logs_them():
    table = frame.features_frame(SPEC, [{"amount": 1.5, "rooms": 2, "is_new": "no", "kind": "a"}, {}])

    assert frame.logged_columns(SPEC, table) == {
        "amount": [1.5, None],
        "rooms": [2, None],
        "is_new": [False, None],
        "day": [None, None],
        "kind": ["a", None],
    }
