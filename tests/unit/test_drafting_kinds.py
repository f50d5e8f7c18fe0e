"""What a column of texts is taken for."""

import numpy as np
import pandas as pd
import pytest

from model.columns import days
from model.drafting.identifiers import identifiers, is_key
from model.drafting.kinds import kind_of
from model.written import read

GAP = np.nan


def kind(*texts, name="c", **more):
    return kind_of(name, pd.Series(list(texts), dtype=object), **more)


def many(text, n=30):
    return [text.format(i) for i in range(n)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("1", "2", "3"), "integer"),
        (("1.5", "2", "-3e2"), "number"),
        (("1.0", "2.0"), "number"),
        (("1.0", "2.0", GAP), "integer"),  # a gap makes pandas write 1 as 1.0
        (("0", "1"), "integer"),
        (("True", "False", "True"), "boolean"),
        (("yes", "no"), "boolean"),
        (("Y", "N", GAP), "boolean"),
        (("2020-01-31", "1999-12-01"), "date"),
        (("2020-01-31 23:59:00", "1999-12-01"), "date"),
        (("31.12.1999", "1.2.2003"), "date"),
        (("Jun 12 1998", "Aug 07 1998"), "date"),
        (("a", "b", "a"), "category"),
        (("None", "Small"), "category"),
        (("0123", "4567"), "category"),  # a code, as a number has no leading zero
        (("9007199254740993", "1"), "category"),  # more than a double holds
        (("1", "2", "many", "few", "3"), "category"),
        (("1_000", "2"), "category"),
    ],
)
def test_a_column_is_taken_for_what_its_texts_are(texts, expected):
    assert kind(*texts).feature.type == expected


@pytest.mark.parametrize(
    ("texts", "low", "high"),
    [
        (("3", "-1", "7"), -1, 7),
        (("0.42", "79.99"), 0.4, 80.0),
        (("0.0003", "0.99919"), 0.0, 1.0),
        (("-0.10722563", "0.11072667"), -0.108, 0.111),
        (("1234.5", "987654.3"), 1000.0, 988000.0),
    ],
)
def test_ranges_are_those_that_were_seen_rounded_outwards(texts, low, high):
    assert (kind(*texts).feature.min, kind(*texts).feature.max) == (low, high)


def test_categories_are_those_that_were_seen():
    assert kind("b", "a", "b").feature.categories == ("a", "b")


@pytest.mark.parametrize("gap", ["?", "n/a", "NULL", " ", " ?"])
def test_what_is_never_a_value_is_a_gap(gap):
    assert kind("a", "b", gap).gaps == (gap,)
    assert kind("1", "2", gap).gaps == (gap,)


@pytest.mark.parametrize("gap", ["None", "-", "unknown"])
def test_what_is_seldom_a_value_is_a_gap_among_numbers_only(gap):
    assert kind("1", "2", gap).gaps == (gap,)
    assert kind("a", "b", gap).gaps == ()


def test_a_few_other_texts_among_numbers_are_gaps_and_told():
    found = kind(*many("{}", 100), "abc")

    assert (found.feature.type, found.gaps) == ("integer", ("abc",))
    assert [doubt.code for doubt in found.doubts] == ["gaps"]


def test_neither_a_class_nor_a_number_stands_for_a_gap():
    assert kind("1", "2", "-", labels=frozenset("+-")).feature.type == "category"
    assert kind(*many("{} km", 60), "seven").gaps == ("seven",)
    assert kind("2020-01-31", "1999-12-01", "0").feature.type == "category"


def test_dates_of_a_month_or_a_year_among_whole_ones_are_dates_and_told():
    found = kind("2019-06-14", "2012", "1998-05")

    assert (found.feature.type, found.feature.format) == ("date", None)
    assert [doubt.code for doubt in found.doubts] == ["date_part"]
    assert (days("2012", None), days("1998-05", None)) == (days("2012-01-01", None), days("1998-05-01", None))


def test_dates_that_could_be_read_both_ways_are_told():
    found = kind("01/02/2003", "05/06/2007")

    assert found.feature.format == "%m/%d/%Y"
    assert [doubt.code for doubt in found.doubts] == ["date_order"]
    assert kind("01/02/2003", "25/06/2007").feature.format == "%d/%m/%Y"
    assert days("25/06/2007", kind("25/06/2007", "1/1/2000").feature.format) == days("2007-06-25", None)


@pytest.mark.parametrize(
    ("text", "marks", "last"),
    [
        ("{}.5 kmpl", (".", None), 29.5),
        ("{},020 CC", (".", ","), 29_020),
        ("{}m2", (".", None), 29),
        ("{}%", (".", None), 29),
        ("${},234.50", (".", ","), 29_234.5),
        ("-US$ {}.25", (".", None), -29.25),
        ("{}.234,50 €", (",", "."), 29_234.5),
        ("{} 234,5 zł", (",", " "), 29_234.5),
    ],
)
def test_numbers_with_a_unit_or_a_currency_are_numbers(text, marks, last):
    found = kind(*many(text)).feature

    assert (found.type, found.unit) == (
        "number",
        found.written.before[0] if found.written.before else found.written.after[0],
    )
    assert (found.written.decimal, found.written.thousands) == marks
    assert read(text.format(29), found.written) == last


def test_numbers_with_thousands_alone_are_integers_and_told():
    found = kind("1,234", "5,678", "12,345,678")

    assert (found.feature.type, found.feature.max) == ("integer", 12_345_678)
    assert [doubt.code for doubt in found.doubts] == ["written"]


@pytest.mark.parametrize(
    ("texts", "code", "words"),
    [
        (("1,234", "5,678"), "number_form", "it could be 1.234, too"),
        ((*many("{} kg"), "70 lb"), "units", "kg or lb"),
        ((*many("{} kg"), "70"), "units", "kg or no unit"),
        (("(5.00)", "7.00"), "brackets", "negative"),
    ],
)
def test_what_is_not_sure_about_numbers_is_told(texts, code, words):
    doubts = {doubt.code: doubt.detail for doubt in kind(*texts).doubts}

    assert words in doubts[code]


@pytest.mark.parametrize(
    "texts",
    [
        many("{}st", 10),
        [f"{i}{'abcdef'[i % 6]}" for i in range(40)],
        many("Room {}"),
        many("10.0.0.{}"),
        many("{} Main St"),
        many("00{} kg"),
    ],
)
def test_few_texts_many_units_names_and_codes_are_no_numbers(texts):
    assert kind(*texts, *texts).feature.type == "category"


def test_numbers_of_different_factors_stay_texts_and_this_is_told():
    found = kind(*many("{}k"), *many("{}M"))

    assert found.feature is None
    assert "k and M are not read" in found.doubts[0].detail


def test_many_texts_have_no_list_of_categories():
    found = kind(*many("street {}", 80), *many("street {}", 40))

    assert found.feature.categories == ()
    assert found.doubts[0].code == "many_texts"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["x", "x"], "always 'x'"),
        ([GAP, GAP], "always empty"),
        (["1", "1", "?"], "always '1'"),
        (many("name {}"), "nearly every row has a text of its own"),
    ],
)
def test_a_column_that_teaches_nothing_is_no_feature(texts, words):
    assert (kind(*texts).feature, kind(*texts).words) == (None, words)


def table(**columns):
    cells = pd.DataFrame({name: pd.Series(texts, dtype=object) for name, texts in columns.items()})
    return cells, {name: kind_of(name, cells[name]) for name in cells}


def test_running_numbers_keys_and_names_of_rows_are_identifiers():
    rng = np.random.default_rng(0)
    found = identifiers(
        *table(
            running=[str(i * 2) for i in range(50)],
            customer_id=[str(i) for i in rng.permutation(10_000)[:50]],
            amount=[str(i) for i in rng.permutation(10_000)[:50]],
            name=many("name {}", 50),
            playlist_id=[f"p{i % 25}" for i in range(50)],
            kind=["a", "b"] * 25,
        )
    )

    assert set(found) == {"running", "customer_id", "name", "playlist_id"}


@pytest.mark.parametrize("name", ["ID", "user.id", "customerId", "Nr", "row_number", "uuid"])
def test_names_of_keys_are_known(name):
    assert is_key(name)


@pytest.mark.parametrize("name", ["idea", "paid", "width", "notes", "rowing"])
def test_names_that_only_look_so_are_none(name):
    assert not is_key(name)
