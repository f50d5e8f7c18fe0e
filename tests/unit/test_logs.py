"""Log lines cannot be forged from outside, and carry the request id."""

import json
import logging

from utils import logs


def record(message):
    return logging.LogRecord("app", logging.INFO, __file__, 1, message, (), None)


def test_a_json_line_is_one_line_whatever_the_message():
    line = logs.JsonFormatter().format(record('ok\n{"level": "ERROR"}'))

    assert "\n" not in line
    assert json.loads(line)["message"] == 'ok\n{"level": "ERROR"}'


def test_a_text_line_is_one_line_whatever_the_message():
    assert "\n" not in logs.TextFormatter().format(record("ok\nERROR forged"))


def test_the_request_id_is_part_of_the_line():
    token = logs.request_id.set("abc")
    try:
        line = logs.JsonFormatter().format(record("ok"))
    finally:
        logs.request_id.reset(token)

    assert json.loads(line)["request_id"] == "abc"
