"""Who may do what: by key, by the session of a browser that has shown one, or from this machine without any.

What browsers must not be tricked into is decided in ``app.browsers``; how often a caller may ask, in
``app.limiting``.
"""

import base64
import binascii
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from flask import request

from app import browsers, limiting, peers, repeating, sessions
from app.context import CALLER, services
from mlops.keys import Key, Scope
from mlops.services import Services
from utils.errors import ForbiddenError, UnauthorizedError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

P = ParamSpec("P")
R = TypeVar("R")
READING = ("GET", "HEAD")


def needs(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view answer only callers that have ``scope``."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            environ = check(scope, services())
            if repeating.HEADER in environ and scope in repeating.SCOPES and request.method == "POST":
                return cast(R, repeating.once(view, *args, **kwargs))
            return view(*args, **kwargs)

        return guarded

    return decorate


def check(scope: Scope, services: Services) -> "WSGIEnvironment":
    """Return the environ of this request, or raise unless it may do ``scope``, and may do so now.

    Raises
    ------
    UnauthorizedError
        Without a key that is known and not expired.
    ForbiddenError
        If the key is for other things, or another site's page made the browser ask.
    TooManyRequestsError
        Beyond RATE_LIMIT.
    """
    environ, settings = request.environ, services.settings
    address = peers.address(settings.trusted_proxies)
    environ[CALLER] = address
    if not services.keys.is_used:
        limiting.spend(services, address)
        _check_anonymous(services, environ)
        return environ
    given = _given_key()
    key = services.keys.find(given) if given is not None else sessions.key(services)
    limiting.spend(services, address if key is None else key.name)
    _check_key(key, scope, is_given=given is not None)
    assert key is not None  # noqa: S101  narrows the type
    environ[CALLER] = key.name
    return environ


def _check_anonymous(services: Services, environ: "WSGIEnvironment") -> None:
    settings = services.settings
    if not settings.allow_anonymous:
        if not peers.is_local():
            raise ForbiddenError(
                "No keys are set, so only this machine is answered. Set API_KEYS and ADMIN_API_KEYS "
                "(or ALLOW_ANONYMOUS=true to answer everybody)."
            )
        browsers.check_host(settings.host)
    if environ["REQUEST_METHOD"] not in browsers.SAFE:
        browsers.check_origin(settings.cors_origins)
        if request.path.startswith("/dashboard"):
            sessions.check_token(sessions.ANONYMOUS, services)


def _check_key(key: Key | None, scope: Scope, *, is_given: bool) -> None:
    if key is None:
        asked = "Send a key in X-API-Key or as Authorization: Bearer."
        raise UnauthorizedError("This key is not known here." if is_given else asked)
    if key.is_expired:
        raise UnauthorizedError("This key has expired.")
    if scope not in key.scopes and not _is_reading(key, scope):
        raise ForbiddenError(f"The key {key.name!r} is not for this: it needs the scope {scope}.")


def _is_reading(key: Key, scope: Scope) -> bool:
    """Tell whether a key that may see everything is only looking at what admins may change."""
    return scope in ("admin", "metrics") and "read" in key.scopes and request.method in READING


def _given_key() -> bytes | None:
    environ = request.environ
    if key := environ.get("HTTP_X_API_KEY"):
        return _raw(key)
    scheme, _, rest = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return _raw(rest.strip())
    # Tools that know only names and passwords: pages only show, so reading is enough.
    if scheme.lower() == "basic" and request.method in READING:
        return _password(rest)
    return None


def _raw(header: str) -> bytes:
    """Return the bytes that came; WSGI shows them as Latin-1."""
    return header.encode("latin-1", "replace")


def _password(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return None
