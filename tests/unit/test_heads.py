"""What is told of a request before it is parsed."""

import pytest

from app.server import heads


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (b"POST /predict?a=1 HTTP/1.1\r\nHost: a\r\n\r\n", b"/predict?a=1"),
        (b"GET /\r\n\r\n", b""),
        (b"POST", b""),
        (b"", b""),
    ],
)
def test_the_target_is_the_second_of_three_words(request_, found):
    assert heads.target(request_) == found


@pytest.mark.parametrize("name", [b"Idempotency-Key", b"idempotency-key", b"IDEMPOTENCY-KEY"])
def test_a_key_for_repeating_is_seen_however_it_is_written(name):
    assert heads.may_be_repeated(b"POST / HTTP/1.1\r\nHost: a\r\n" + name + b": 1\r\n\r\n{}")


@pytest.mark.parametrize(
    "where", [b"X-Idempotency-Key: 1\r\n\r\n", b"\r\nIdempotency-Key: 1\r\n\r\n", b"\r\n"]
)
def test_what_only_looks_like_such_a_key_is_none(where):
    assert not heads.may_be_repeated(b"POST / HTTP/1.1\r\nHost: a\r\n" + where)
