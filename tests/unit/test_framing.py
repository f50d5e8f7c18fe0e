"""Where requests end, whatever pieces they come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server.framing import MAX_HEAD_BYTES, MAX_LINE_BYTES, FramingError, Incoming

ROOMY = 1_000_000
POST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = (
    b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhel\r\n\r\n3;name=value\r\n0\r\n\r\n0\r\nDigest: none\r\n\r\n"
)
EMPTY_CHUNKED = b"POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\n\r\n0\r\n\r\n"
REQUESTS = [POST, GET, CHUNKED, EMPTY_CHUNKED]


def incoming(*pieces: bytes, max_body_bytes: int = ROOMY) -> Incoming:
    found = Incoming(max_body_bytes)
    for piece in pieces:
        found.add(piece)
    return found


@given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_requests_come_out_whole_and_in_order_however_they_are_cut(requests, sizes):
    stream, reader, found = b"".join(requests), Incoming(ROOMY), []
    while stream:
        size = sizes[len(stream) % len(sizes)]
        reader.add(stream[:size])
        stream = stream[size:]
        while (request := reader.take()) is not None:
            found.append(request)

    assert found == requests
    assert not reader


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_without_its_last_byte_is_waited_for(request_):
    reader = incoming(request_[:-1])

    assert reader.take() is None
    reader.add(request_[-1:])
    assert reader.take() == request_


def test_empty_lines_before_a_request_do_not_count():
    assert incoming(b"\r\n\r\n" + GET).take() == GET


def test_a_body_is_refused_when_its_length_is_known_and_before_it_comes():
    reader = incoming(b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", max_body_bytes=1_000)

    with pytest.raises(FramingError) as error:
        reader.take()
    assert error.value.status == 413


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_long():
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = incoming(head, b"1e0\r\n", b"x" * 480 + b"\r\n", b"1e0\r\n", b"x" * 480, max_body_bytes=1_000)

    assert reader.take() is None
    reader.add(b"\r\n1e\r\n" + b"x" * 30)
    with pytest.raises(FramingError) as error:
        reader.take()
    assert error.value.status == 413


def test_a_chunk_that_says_that_it_is_too_long_is_refused_before_it_comes():
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

    with pytest.raises(FramingError) as error:
        incoming(head, b"3e9\r\n", max_body_bytes=1_000).take()
    assert error.value.status == 413


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"x" * MAX_HEAD_BYTES, 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1" + b";" * (MAX_LINE_BYTES + 1), 400),
    ],
)
def test_what_never_becomes_a_request_is_refused(sent, status):
    with pytest.raises(FramingError) as error:
        incoming(sent).take()
    assert error.value.status == status


def test_the_encoding_goes_before_the_length_so_nothing_is_smuggled_behind_it():
    head = b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    request = head + b"0\r\n\r\n"

    assert incoming(request).take() == request


def test_a_length_beside_the_field_is_none():
    sent = b"POST / HTTP/1.1\r\nX-Note: content-length: 5\r\nContent-Length : 7\r\n\r\n"

    assert incoming(sent).take() == sent


def test_who_waits_for_a_go_ahead_is_noticed_once_the_head_is_there():
    reader = incoming(b"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n")

    assert reader.take() is None
    assert not reader.expects_continue
    reader.add(b"\r\n")
    assert reader.take() is None
    assert reader.expects_continue


def test_more_is_read_at_once_where_more_is_missing():
    small, large = incoming(POST[:-1]), incoming(b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n")
    small.take(), large.take()

    assert small.wanted < large.wanted <= 1_000_000
