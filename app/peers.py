"""Who is at the other end: this machine, and the client's address behind proxies that are trusted."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from flask import request

from mlops.preflight import EVERYBODY


def is_local() -> bool:
    """Tell whether the caller is on this machine; a caller behind a proxy on this machine is not."""
    environ = request.environ
    if environ.get("HTTP_X_FORWARDED_FOR") or environ.get("HTTP_FORWARDED"):
        return False
    return is_loopback(environ.get("REMOTE_ADDR", ""))


@lru_cache(maxsize=1_024)
def is_loopback(text: str) -> bool:
    """Tell whether an address is one of this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("::ffff:127.0.0.1"), is_loopback("10.0.0.1")
    (True, True, False)
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def address(trusted: Sequence[str]) -> str:
    """Return the client's address; ``X-Forwarded-For`` counts as far as it comes from ``trusted`` proxies."""
    found: str = request.environ.get("REMOTE_ADDR") or "unknown"
    if not trusted:
        return found
    hops = request.environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while hops and _is_among(found, tuple(trusted)) and (hop := hops.pop().strip()):
        found = hop[:64]
    return found


@lru_cache(maxsize=1_024)
def _is_among(text: str, trusted: tuple[str, ...]) -> bool:
    try:
        client = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(one == EVERYBODY or client in ipaddress.ip_network(one, strict=False) for one in trusted)
