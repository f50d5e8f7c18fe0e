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


def test_a_command_that_takes_too_long_is_ended():
    with pytest.raises(UnavailableError):
        tasks.result_of("config", "show", "--json", timeout_s=0.01)
