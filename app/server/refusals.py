"""Answers that the poller gives by itself, in the shape of every other error here, without the app."""

import re
import uuid
from http import HTTPStatus

from app import problems

RETRY_AFTER_S = 1

_REQUEST_ID = re.compile(rb"\r\nx-request-id:[ \t]*([A-Za-z0-9._:/+=@-]{1,128})[ \t]*\r\n", re.IGNORECASE)


def target(request: bytes) -> bytes:
    """Return the target of a request's first line, or nothing where there is none."""
    line = request[: request.find(b"\r\n")].split(b" ", 2)
    return line[1] if len(line) == 3 else b""


def overloaded(request: bytes) -> bytes:
    """Return the answer to a request that has no place in its lane."""
    return problem(503, "More requests are under way than MAX_PENDING allows.", request)


def problem(status: int, detail: str, request: bytes) -> bytes:
    """Return a whole answer with one problem; ``request`` may be the beginning of one."""
    found = _REQUEST_ID.search(request)
    request_id = found[1].decode() if found else uuid.uuid4().hex
    path = target(request).partition(b"?")[0].decode("latin-1")
    title = HTTPStatus(status).phrase
    body = problems.body(status, title, detail, path=path, request_id=request_id)
    retry = f"Retry-After: {RETRY_AFTER_S}\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: {problems.MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n{retry}X-Request-ID: {request_id}\r\n\r\n"
    )
    return head.encode("latin-1") + body
