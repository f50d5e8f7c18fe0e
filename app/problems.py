"""Every error becomes one shape: ``application/problem+json`` (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from utils import logs
from utils.errors import InProgressError, InvalidRowsError, TooManyRequestsError, UnavailableError, VigiaError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def init_app(app: Flask) -> None:
    """Answer all errors of this app as problems."""
    app.register_error_handler(VigiaError, from_vigia)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Exception, from_bug)


def problem(status: int, title: str, detail: str, **members: Any) -> Response:
    """Return one problem; ``members`` are further members of the body."""
    content = body(status, title, detail, path=request.path, request_id=logs.request_id.get(), **members)
    return Response(content, status, content_type=MEDIA_TYPE)


def body(status: int, title: str, detail: str, *, path: str, request_id: str | None, **members: Any) -> bytes:
    """Return the body of one problem, for a request to ``path``."""
    found = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": path,
        "request_id": request_id,
        **members,
    }
    if path.startswith("/v2"):
        found["error"] = detail
    return msgspec.json.encode(found)


def from_vigia(error: VigiaError) -> Response:
    """Return a problem for an error that was raised on purpose."""
    members: dict[str, Any] = {"code": error.code}
    if isinstance(error, InvalidRowsError):
        members["errors"] = [_fault(f.pointer, f.code, f.detail) for f in error.faults]
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, UnavailableError):
        log.error("%s: %s", error.title, error.detail)
    answer = problem(error.status, error.title, error.detail, **members)
    if isinstance(error, UnavailableError | TooManyRequestsError | InProgressError):
        answer.headers["Retry-After"] = str(error.retry_after_s)
    if error.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="vigia"'
    return answer


def _fault(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}


def from_http(error: HTTPException) -> Response:
    """Return a problem for what Flask itself refused."""
    status = error.code or 500
    detail = error.description or ""
    if isinstance(error, RequestEntityTooLarge):
        detail = "The body is larger than MAX_BODY_BYTES allows."
    answer = problem(status, error.name, detail)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    if isinstance(error, RequestEntityTooLarge):
        # What is left of the body is not read, so the connection cannot carry another request.
        answer.headers["Connection"] = "close"
    return answer


def from_bug(error: Exception) -> Response:
    """Return a problem for a fault of ours: the log has the traceback, the answer does not."""
    log.error("unexpected error", exc_info=error)
    return problem(500, "Internal error", "Something went wrong here; the log has it under this request_id.")
