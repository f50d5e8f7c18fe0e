"""gunicorn's request and response, with what it looks up for each of them looked up once.

Behaviour is gunicorn's own; only the cost differs. Half of what parsing and answering take goes into settings
that are computed at each access, the address of the peer and the date.
"""

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from gunicorn.http import message, wsgi


class FrozenConfig:
    """A copy of gunicorn's settings, each a plain attribute; the rest is asked of the original."""

    def __init__(self, config: Any) -> None:
        plain = {n: s.get() for n, s in config.settings.items() if not hasattr(type(config), n)}
        self.__dict__.update(plain)
        self.is_ssl = bool(config.is_ssl)  # computed at each access, and asked by every request
        self._config = config
        self.is_trusted = lru_cache(maxsize=1_024)(self._is_trusted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._config, name)

    def _is_trusted(self, address: str) -> bool:
        """Return whether headers of a proxy at ``address`` are believed."""
        allowed, networks = self._config.forwarded_allow_ips, self._config.forwarded_allow_networks()
        return bool(message._ip_in_allow_list(address, allowed, networks))


class Request(message.Request):  # type: ignore[misc]  # gunicorn ships no types
    """A parsed request."""

    def _peer_is_trusted_proxy(self) -> bool:
        return not isinstance(self.peer_addr, tuple) or bool(self.cfg.is_trusted(self.peer_addr[0]))


class Response(wsgi.Response):  # type: ignore[misc]  # gunicorn ships no types
    """A response under way."""

    def default_headers(self) -> list[str]:
        """Return the first line and the server's own headers."""
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        major, minor = self.req.version
        head = [
            f"HTTP/{major}.{minor} {self.status}\r\nServer: {self.version}\r\n"
            f"Date: {_date(int(time.time()))}\r\nConnection: {connection}\r\n"
        ]
        return [*head, "Transfer-Encoding: chunked\r\n"] if self.chunked else head


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
