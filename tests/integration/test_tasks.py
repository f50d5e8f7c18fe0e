"""Commands in a process of their own: their first line is the result, and failures are told."""

import logging

import pytest

from mlops import tasks
from utils.errors import UnavailableError, VigiaError


def test_the_result_is_the_line_that_the_command_prints(monkeypatch):
    monkeypatch.setenv("PORT", "81")

    found = tasks.result_of("config", "show", "--json", timeout_s=60)

    assert {"variable": "PORT", "value": "81", "origin": "environment"} in found


def test_a_command_that_fails_is_an_error_and_the_log_says_why(monkeypatch, caplog):
    monkeypatch.setenv("PORT", "none")

    with caplog.at_level(logging.ERROR), pytest.raises(VigiaError, match="log says why"):
        tasks.result_of("config", "show", "--json", timeout_s=60)

    assert "PORT" in caplog.text


@pytest.mark.parametrize(
    ("uri", "kind", "status", "words"),
    [
        (None, UnavailableError, 503, "has no champion yet"),
        ("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50", UnavailableError, 503, "MongoDB"),
    ],
)
def test_an_error_for_callers_comes_through(monkeypatch, mongo_uri, tmp_path, uri, kind, status, words):
    monkeypatch.setenv("MONGO_URI", uri or mongo_uri)
    monkeypatch.setenv("MONGO_DB", f"tasks_{tmp_path.name}"[:38])
    monkeypatch.setenv("STATE_DIR", str(tmp_path))

    with pytest.raises(kind, match=words) as caught:
        tasks.result_of("monitor", "songs", "--json", timeout_s=60)

    assert caught.value.status == status


def test_an_error_of_another_kind_keeps_status_and_title(monkeypatch, mongo_uri, tmp_path):
    monkeypatch.setenv("MONGO_URI", mongo_uri)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))

    with pytest.raises(VigiaError, match="No model is called 'nope'") as caught:
        tasks.result_of("monitor", "nope", "--json", timeout_s=60)

    assert (caught.value.status, caught.value.title) == (404, "Not found")


def test_a_command_that_takes_too_long_is_ended():
    with pytest.raises(UnavailableError):
        tasks.result_of("config", "show", "--json", timeout_s=0.01)
