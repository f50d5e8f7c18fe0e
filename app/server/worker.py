"""The gunicorn worker: a poller for all connections, and lanes of threads that answer complete requests.

``worker_class = "app.server.worker.Worker"``. Speaks HTTP/1.1 without TLS, which ends at a proxy or at the
platform's router. ``threads``, ``worker_connections``, ``keepalive``, ``max_requests``, ``graceful_timeout``
and gunicorn's hooks mean what they mean elsewhere.
"""

import contextlib
import io
import os
import time
from datetime import datetime
from typing import Any

from gunicorn.errors import ConfigError
from gunicorn.http import wsgi
from gunicorn.http.body import ChunkedReader
from gunicorn.http.unreader import Unreader
from gunicorn.workers.base import Worker as GunicornWorker

from app import health, predict
from app.context import services_of
from app.server import descriptors, malformed, refusals
from app.server.connection import Connection
from app.server.framing import FramingError
from app.server.lanes import Lane
from app.server.messages import FrozenConfig, Request, Response
from app.server.poller import LINGER_S, Poller
from app.server.siblings import Siblings

TURN_S = 1.0
LAST_TURN_S = 0.05
STORE_S = 5.0  # of the time to end, for what comes after the last answer
# Pages and reports may wait for MongoDB; a few at a time is plenty.
REST_THREADS = 4
HEALTH_PENDING = 1_000

siblings = Siblings()


class Whole(Unreader):  # type: ignore[misc]  # gunicorn ships no types
    """A request that is there in one piece: behind it is nothing."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.buf.write(content)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what else there is."""
        return b""


class Worker(GunicornWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Serves HTTP in one process."""

    @classmethod
    def check_config(cls, config: Any, log: Any) -> None:
        """Refuse what this worker cannot do."""
        if config.is_ssl:
            raise ConfigError("TLS ends at a proxy in front; or start with --worker-class gthread.")

    def load_wsgi(self) -> None:
        """Load the app; make what must be made after fork."""
        super().load_wsgi()
        services = services_of(self.wsgi)
        max_pending = services.settings.max_pending
        self._predictions = Lane("predict", self.cfg.threads, max_pending, self._answer)
        # Two, as who asks whether this process lives must not wait for what readiness looks at.
        self._live = Lane("live", 1, HEALTH_PENDING, self._answer)
        self._ready = Lane("ready", 1, HEALTH_PENDING, self._answer)
        self._rest = Lane("web", REST_THREADS, max_pending, self._answer)
        self._meter = self.wsgi.meter
        self._meter.watch(lambda: (self._predictions.n_pending, services.spool_bytes()))
        self._prediction_paths = predict.path_ends(services.specs.values())
        self._frozen = FrozenConfig(self.cfg)
        siblings.join(self.age)
        self._poller = Poller(
            self.sockets,
            siblings,
            self._handle,
            self._refuse,
            keepalive_s=self.cfg.keepalive,
            max_connections=descriptors.room_for(self.cfg.worker_connections),
            max_body_bytes=services.settings.max_body_bytes,
        )

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End after the requests under way; the signal itself wakes the poller."""
        self.alive = False

    def run(self) -> None:
        """Serve until told to stop, then answer what was taken."""
        self._poller.watch(self.PIPE[0], self._drain_signals)
        lanes = (self._predictions, self._live, self._ready, self._rest)
        for lane in lanes:
            lane.start()
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self._poller.turn(TURN_S)
        self._finish()
        for lane in lanes:
            lane.stop()

    def _drain_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.PIPE[0], 512)

    def _finish(self) -> None:
        """Answer what is under way; who keeps a connection has a moment to notice that it closes."""
        siblings.leave()
        self._poller.stop_listening()
        self._poller.expire(LINGER_S)
        deadline = time.monotonic() + max(LINGER_S, self.cfg.graceful_timeout - STORE_S)
        while self._poller.n_connections and time.monotonic() < deadline:
            self.notify()
            self._poller.turn(LAST_TURN_S, is_open=False)
        self._poller.close()

    def _handle(self, connection: Connection, request: bytes) -> None:
        if not self._lane(request).offer(connection, request):
            if self._is_prediction(request):
                self._meter.note_refusal("503")
            self._poller.reject(connection, refusals.overloaded(request), is_last=False)

    def _lane(self, request: bytes) -> Lane:
        path, _, query = refusals.target(request).partition(b"?")
        if path.endswith(self._prediction_paths):
            # Who names a version may wait for MongoDB, who asks why for a second or two; the others don't.
            may_wait = b"/versions/" in path or b"explain" in query
            return self._rest if may_wait else self._predictions
        if path in health.PATHS:
            return self._live if path in health.LIVE else self._ready
        return self._rest

    def _is_prediction(self, request: bytes) -> bool:
        return refusals.target(request).partition(b"?")[0].endswith(self._prediction_paths)

    def _refuse(self, connection: Connection, error: FramingError) -> None:
        head = connection.incoming.head
        if self._is_prediction(head):
            self._meter.note_refusal(str(error.status))
        answer = refusals.problem(error.status, error.detail, head, is_last=True)
        self._poller.reject(connection, answer, is_last=True)

    def _answer(self, connection: Connection, content: bytes) -> None:
        """Answer one request, in a thread of a lane."""
        is_kept, n_offered = False, connection.sock.n_offered
        try:
            request = Request(self._frozen, Whole(content), connection.client, connection.n_requests)
            request._expected_100_continue = False  # the poller has told the client to go on
            is_kept = self._run_app(request, connection)
        except malformed.UNREADABLE as error:
            status, detail = malformed.judge(error)
            self.log.info("A request from %s was refused: %s", connection.client, detail)
            self._close_with(connection, status, detail, content)
        except (ConnectionError, TimeoutError):
            self.log.debug("A client went away before it had its answer.")
        except Exception:  # the lane must go on; the client has a problem where nothing was sent yet
            self.log.exception("An answer ended with a fault of the server")
            if connection.sock.n_offered == n_offered:
                self._close_with(connection, 500, "Something went wrong here; the log has it.", content)
        finally:
            self._poller.settle(connection, is_kept=is_kept)

    def _close_with(self, connection: Connection, status: int, detail: str, request: bytes) -> None:
        connection.sock.sendall(refusals.problem(status, detail, request, is_last=True))

    def _run_app(self, request: Any, connection: Connection) -> bool:
        """Have the app answer and return whether the connection may be kept."""
        started = datetime.now()  # noqa: DTZ005  gunicorn's access log takes the difference
        ends = connection.sock, connection.client, connection.server
        response, environ = wsgi.create(request, *ends, self._frozen, response_class=Response)
        environ["wsgi.multithread"] = True
        if isinstance(request.body.reader, ChunkedReader):
            # Malformed chunks end here, not in the middle of the app.
            environ["wsgi.input"] = io.BytesIO(request.body.read())
        self._count_request()
        if not self.alive:
            response.force_close()
        body = self.wsgi(environ, response.start_response)
        try:
            for part in body:
                response.write(part)
            response.close()
        finally:
            self.log.access(response, request, environ, datetime.now() - started)  # noqa: DTZ005
            if hasattr(body, "close"):
                body.close()
        return not response.should_close()

    def _count_request(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Restarting after %s requests.", self.nr)
            self.alive = False
