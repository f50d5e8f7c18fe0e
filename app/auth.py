"""Who may do what: keys for predicting and labelling, admin keys for everything else."""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Literal, ParamSpec, TypeVar

from flask import request

from app.context import services
from utils.errors import ForbiddenError, UnauthorizedError
from utils.settings import Settings

Scope = Literal["predict", "admin"]
P = ParamSpec("P")
R = TypeVar("R")


def needs(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view answer only callers that have ``scope``."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            check(scope, services().settings)
            return view(*args, **kwargs)

        return guarded

    return decorate


def check(scope: Scope, settings: Settings) -> None:
    """Raise UnauthorizedError or ForbiddenError unless this request may do ``scope``."""
    if not settings.api_keys and not settings.admin_api_keys:
        _check_anonymous(settings)
        return
    key = _given_key()
    if key is None:
        raise UnauthorizedError("Send a key in X-API-Key or as Authorization: Bearer.")
    if _is_among(key, settings.admin_api_keys):
        return
    if not _is_among(key, settings.api_keys):
        raise UnauthorizedError("This key is not known here.")
    if scope == "admin":
        raise ForbiddenError("This needs one of ADMIN_API_KEYS.")


def _check_anonymous(settings: Settings) -> None:
    if not settings.allow_anonymous and not is_local():
        raise ForbiddenError(
            "No keys are set, so only this machine is answered. Set API_KEYS and ADMIN_API_KEYS "
            "(or ALLOW_ANONYMOUS=true to answer everybody)."
        )


def is_local() -> bool:
    """Tell whether the caller is on this machine; a caller behind a proxy on this machine is not."""
    environ = request.environ
    if environ.get("HTTP_X_FORWARDED_FOR") or environ.get("HTTP_FORWARDED"):
        return False
    return _is_loopback(environ.get("REMOTE_ADDR", ""))


@lru_cache(maxsize=1_024)
def _is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _given_key() -> str | None:
    if key := request.headers.get("X-API-Key"):
        return key
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    # Browsers know no other way to send a key with a page; pages only show, so GET is enough.
    if scheme.lower() == "basic" and request.method in ("GET", "HEAD"):
        return _password(rest)
    return None


def _password(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


def _is_among(key: str, known: Sequence[str]) -> bool:
    """Compare with every key, in constant time, so that the time tells nothing."""
    return sum(hmac.compare_digest(key.encode(), one.encode()) for one in known) > 0
