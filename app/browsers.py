"""What a browser must not be tricked into: requests that another site's page makes, frames, foreign scripts.

A caller that sends a key in a header means what it asks; a browser also asks what any page tells it to, with
the cookie of a session or from the machine that is answered without keys. Pages of other sites are answered
only where ``CORS_ORIGINS`` names them.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from flask import Flask, Response, request

from app.context import services_of
from utils.errors import ForbiddenError

SAFE = ("GET", "HEAD", "OPTIONS")
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, Prefer, X-API-Key, X-Request-ID"
SHOWN_HEADERS = "Location, Retry-After, X-Model-Version, X-Request-ID"
PREFLIGHT_S = "600"
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
HSTS = "max-age=31536000"


def init_app(app: Flask) -> None:
    """Give pages their headers, and answer the origins that are named."""
    origins = services_of(app).settings.cors_origins
    app.after_request(_with_page_headers)
    if origins:
        app.before_request(lambda: _preflight(origins))
        app.after_request(lambda answer: _with_cors(answer, origins))


def check_origin(allowed: Sequence[str]) -> None:
    """Raise ForbiddenError if the page of another site made the browser ask."""
    environ = request.environ
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
    if origin is None and site is None:  # no browser
        return
    is_foreign = site in ("cross-site", "same-site")
    if origin is not None:
        is_foreign = _host_of(origin) != request.host
    if is_foreign and origin not in allowed:
        raise ForbiddenError("A page of another site asks this. CORS_ORIGINS names those that may.")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def check_host(own: str) -> None:
    """Refuse names that point here only for the page that asks (DNS rebinding)."""
    name = _name_in(request.host)
    if not _is_own(name, own):
        raise ForbiddenError(
            f"Without keys only this machine is answered, and not as {name[:80]!r}. Set API_KEYS and "
            "ADMIN_API_KEYS, or HOST to that name."
        )


def _name_in(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).strip("[]")


@lru_cache(maxsize=1_024)
def _is_own(name: str, own: str) -> bool:
    return name in ("localhost", own) or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_page_headers(answer: Response) -> Response:
    if answer.mimetype == "text/html":
        for name, value in PAGE_HEADERS.items():
            answer.headers.setdefault(name, value)
        if request.is_secure:
            answer.headers.setdefault("Strict-Transport-Security", HSTS)
    return answer


def _preflight(origins: Sequence[str]) -> Response | None:
    if request.method != "OPTIONS" or not request.headers.get("Access-Control-Request-Method"):
        return None
    answer = Response(status=204)
    if request.headers.get("Origin") in origins:
        answer.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE"
        answer.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        answer.headers["Access-Control-Max-Age"] = PREFLIGHT_S
    return answer


def _with_cors(answer: Response, origins: Sequence[str]) -> Response:
    answer.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        answer.headers["Access-Control-Allow-Origin"] = str(origin)
        answer.headers["Access-Control-Expose-Headers"] = SHOWN_HEADERS
    return answer
