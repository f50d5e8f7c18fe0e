"""Numbers, windows and shapes of pages."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app import charts
from app.dashboard import figures, periods
from app.dashboard.predictions import _safe

AT = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("en", ("12,345", "0.1234", "12.3\u202f%")), ("es", ("12\u202f345", "0,1234", "12,3\u202f%"))],
)
def test_numbers_are_written_in_the_way_of_the_language(code, expected):
    with Flask("figures").test_request_context(f"/?lang={code}"):
        assert (figures.whole(12_345), figures.figure(0.1234), figures.percent(0.1234)) == expected


def test_a_window_ends_with_the_hour_under_way():
    found = periods.period({"window": "6h"}, AT)

    assert (found.window.end, found.window.n_hours) == (AT.replace(hour=11, minute=0), 6)


@pytest.mark.parametrize(
    "given",
    [{"window": "5 years"}, {"from": "2026-01-02T00:00", "to": "2026-01-01T00:00"}],
)
def test_a_window_that_cannot_be_is_said_to_be_wrong(given):
    found = periods.period(given, AT)

    assert (found.is_wrong, found.window.n_hours) == (True, 24)


def test_what_is_no_instant_is_left_out():
    assert periods.period({"from": "0001-01-01", "to": "soon"}, AT).window.n_hours == 24


def test_any_two_windows_are_read():
    given = {"against": "window", "against_from": "2026-04-01T00:00", "against_to": "2026-04-02T00:00+02:00"}

    found = periods.against(given, periods.period({}, AT).window)

    assert found is not None
    assert (found.start.day, found.end.hour) == (1, 22)


def test_marks_lie_where_their_moment_is():
    axis = charts.Axis(AT, AT + timedelta(hours=2))

    marks = axis.marks([(AT + timedelta(hours=1), "version", "2"), (AT - timedelta(hours=1), "alert", "old")])

    assert [(mark.x, mark.title) for mark in marks] == [(charts.WIDTH / 2, "2")]


def test_a_sheet_takes_no_cell_for_a_formula():
    assert _safe("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert _safe(-1.5) == -1.5
