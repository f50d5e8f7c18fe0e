"""Answers that the poller gives by itself, in the shape of every other error here, without the app."""

import re
import uuid
from email.utils import formatdate
from http import HTTPStatus

from app import problems
from app.server.heads import target

RETRY_AFTER_S = 1
# So much of a path is repeated.
MAX_PATH = 2_048

_REQUEST_ID = re.compile(rb"\r\nx-request-id:[ \t]*([A-Za-z0-9._:/+=@-]{1,128})[ \t]*\r\n", re.IGNORECASE)


def overloaded(request: bytes) -> bytes:
    """Return the answer to a request that has no place in its lane."""
    detail = "More requests are under way than MAX_PENDING allows."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, request, is_last=False)


def problem(status: int, detail: str, request: bytes, *, is_last: bool) -> bytes:
    """Return a whole answer with one problem; ``request`` may be the beginning of one.

    ``is_last`` says that the connection closes behind it.
    """
    found = _REQUEST_ID.search(request)
    request_id = found[1].decode() if found else uuid.uuid4().hex
    path = target(request).partition(b"?")[0][:MAX_PATH].decode("latin-1")
    title = HTTPStatus(status).phrase
    body = problems.body(status, title, detail, path=path, request_id=request_id)
    headers = {
        "Date": formatdate(usegmt=True),
        "Connection": "close" if is_last else "keep-alive",
        "Content-Type": problems.MEDIA_TYPE,
        "Content-Length": len(body),
        "X-Request-ID": request_id,
        "X-Content-Type-Options": "nosniff",
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER_S
    lines = [f"HTTP/1.1 {status} {title}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    # An answer to HEAD has no body, or what comes next would be read as one.
    return "\r\n".join(lines).encode("latin-1") + (b"" if request.startswith(b"HEAD ") else body)
