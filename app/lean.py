"""Flask, less what a prediction service does without: a prediction costs a third of the time it takes Flask.

Views, hooks, errors and tests are Flask's as ever. What is left out: views that are coroutines, host names
that route, and general care for headers where an answer has none but its own. Every answer gets its request
id and what all answers carry here, outside of Flask, as appending to a list is all it takes.
"""

import os
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

from app.meter import Meter
from mlops.serving import UnderWay, under_way
from utils import logs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
EVERY_ANSWER = ("X-Content-Type-Options", "nosniff")
JSON = ("Content-Type", "application/json")


class NoSessions(SessionInterface):
    """Flask's own sessions, which nothing here uses: none, for all requests."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """Return what refuses to be written to."""
        return self._none


class LeanFlask(Flask):
    """A Flask app with plain views only, for one host.

    Attributes
    ----------
    meter : Meter
        Counts the requests.
    prediction_ends : tuple of str
        How the paths of predictions end.
    uncounted : frozenset of str
        Paths that nobody counts, since probes ask for them all the time.
    has_hooks_for_json : bool
        Whether functions that look at answers before they are sent have something to say of plain JSON.
    """

    session_interface = NoSessions()
    meter: Meter
    prediction_ends: tuple[str, ...] = ()
    uncounted: frozenset[str] = frozenset()
    has_hooks_for_json = True

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request under the id that it came with or now gets."""
        given = environ.get("HTTP_X_REQUEST_ID")
        request_id = given if given and REQUEST_ID.fullmatch(given) else os.urandom(16).hex()
        logs.request_id.set(request_id)
        trace = environ.get("HTTP_TRACEPARENT")
        logs.trace_id.set(trace[3:35] if trace and TRACEPARENT.fullmatch(trace) else None)
        asked = UnderWay()
        under_way.set(asked)
        started = time.perf_counter()

        def start(
            status: str, headers: list[tuple[str, str]], error: Any = None
        ) -> Callable[[bytes], object]:
            self._count(environ, asked, status[:3], time.perf_counter() - started)
            return start_response(status, [*headers, ("X-Request-ID", request_id), EVERY_ANSWER], error)

        return self.wsgi_app(environ, start)

    def _count(self, environ: "WSGIEnvironment", asked: UnderWay, status: str, seconds: float) -> None:
        """Count a request, before its answer is sent: whoever got it finds it counted."""
        path = environ.get("PATH_INFO", "")
        if path in self.uncounted:
            return
        rule = request.url_rule
        route = "" if rule is None else rule.rule
        if not path.endswith(self.prediction_ends):
            self.meter.note_other(route, environ["REQUEST_METHOD"], status)
            return
        self.meter.note_prediction(asked.model, asked.version, route, status, seconds)
        if asked.n_rows:
            self.meter.note_rows(asked.model, asked.version, asked.n_rows)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``func``: there are no coroutines here, and asking for each call costs more than a call."""
        return func

    def process_response(self, response: Response) -> Response:
        """Have the hooks look at an answer, unless it is one of which they have nothing to say."""
        if type(response) is JsonAnswer and not self.has_hooks_for_json:
            return response
        return super().process_response(response)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what matches the URL of ``request``, without a look at host names beyond their syntax."""
        if request is None or self.config["TRUSTED_HOSTS"] is not None:
            return super().create_url_adapter(request)
        environ = request.environ
        scheme = environ["wsgi.url_scheme"]
        request.host = _host(  # a wrong one raises, and is answered with 400
            environ.get("HTTP_HOST"), environ.get("SERVER_NAME", ""), environ.get("SERVER_PORT", ""), scheme
        )
        path, method, query = request.path, request.method, environ.get("QUERY_STRING", "")
        return MapAdapter(self.url_map, request.host, request.root_path, "", scheme, path, method, query)


@lru_cache(maxsize=1_024)
def _host(given: str | None, server: str, port: str, scheme: str) -> str:
    environ = {"SERVER_NAME": server, "SERVER_PORT": port, "wsgi.url_scheme": scheme}
    return get_host(environ if given is None else {**environ, "HTTP_HOST": given})


class JsonAnswer(Response):
    """A 200 with JSON in one piece and headers known to be in order; hooks may change it as any other.

    Parameters
    ----------
    content : bytes
        The JSON.
    headers : (str, str)
        Further headers.
    """

    def __init__(self, content: bytes, *headers: tuple[str, str]) -> None:
        self.headers = Headers()
        self.headers._list = [JSON, *headers]
        self._status = "200 OK"
        self._status_code = 200
        self.response = [content]
        self._on_close = []
        self.direct_passthrough = False

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Send it."""
        if self._status_code != 200 or self._on_close:
            return super().__call__(environ, start_response)
        size = str(sum(map(len, self.response)))
        start_response(self._status, [*self.headers, ("Content-Length", size)])
        return self.response  # type: ignore[return-value]
