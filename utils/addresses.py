"""Where a service listens: hosts and ports as URLs write them, and whether this machine can take them."""

import errno
import socket
from contextlib import closing

from utils.errors import SettingsError

# Where a service that listens on all addresses is reached from this machine.
NEAREST = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  looked up, not bound to


def netloc(host: str, port: int) -> str:
    """Return host and port as one text.

    >>> netloc("127.0.0.1", 8000), netloc("::1", 8000)
    ('127.0.0.1:8000', '[::1]:8000')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_host(host: str) -> None:
    """Raise SettingsError unless ``host`` is an address, or a name that this machine can look up."""
    _resolved(host, 0)


def check_free(host: str, port: int) -> None:
    """Raise SettingsError, naming the variable, unless somebody can listen there now."""
    family, address = _resolved(host, port)
    try:
        with closing(socket.socket(family, socket.SOCK_STREAM)) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen(1)
    except OSError as error:
        is_host = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
        variable = "HOST" if is_host else "PORT"
        raise SettingsError(
            f"{variable}: cannot listen on {netloc(host, port)} ({error.strerror})."
        ) from None


def _resolved(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsError(f"HOST: {host!r} is no address, nor a name that can be looked up.") from None
    return found[0][0], found[0][4]
