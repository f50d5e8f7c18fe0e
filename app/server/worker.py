"""The gunicorn worker: a poller for all connections, and lanes of threads that answer complete requests.

The poller runs in a thread of the lane that predicts, see ``Crew``; the main thread watches over it.

``worker_class = "app.server.worker.Worker"``. Speaks HTTP/1.1 without TLS, which ends at a proxy or at the
platform's router. ``threads``, ``worker_connections``, ``keepalive``, ``max_requests``, ``graceful_timeout``
and gunicorn's hooks mean what they mean elsewhere.
"""

import contextlib
import io
import os
import select
import sys
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
from app.server import descriptors, heads, malformed, refusals
from app.server.connection import Connection
from app.server.crew import Crew
from app.server.framing import FramingError
from app.server.lanes import Lane
from app.server.messages import FrozenConfig, Request, Response
from app.server.poller import LINGER_S, Poller
from app.server.siblings import Siblings
from utils.settings import Settings

TURN_S = 1.0
# A request that holds up the poller does so for twice this time at most,
LOOK_S = 0.005
# and many that are answered in one turn of it for not much longer than this.
ANSWERING_S = 0.02
LAST_TURN_S = 0.05
# So long may the thread that ships keep the interpreter from one that answers; usually it is 5 ms.
SWITCH_S = 0.001
END_S = 1.0
# Small requests are likely to be quick.
SMALL_BYTES = 16_384
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
        sys.setswitchinterval(SWITCH_S)
        services = services_of(self.wsgi)
        self._meter = self.wsgi.meter
        self._prediction_paths = predict.path_ends(services.specs.values())
        self._frozen = FrozenConfig(self.cfg)
        # gunicorn asks for any logging to be set, makes a record of each request, and throws it away.
        self._has_access_log = bool(self.cfg.accesslog or self.cfg.syslog)
        self._make_lanes(services.settings)
        self._make_poller(services.settings.max_body_bytes)
        self._meter.watch(lambda: (self._predictions.n_pending, services.spool_bytes()))

    def _make_lanes(self, settings: Settings) -> None:
        self._max_pending = settings.max_pending
        # Who waits for the disk or for MongoDB may as well do so together with others.
        self._may_wait = settings.spool_fsync or settings.rate_limit_storage != "memory"
        self._predictions = Crew(
            "predict",
            self.cfg.threads,
            settings.max_pending,
            self._answer,
            poll=lambda: self._poller.turn(TURN_S if self.alive else LAST_TURN_S),
            wake=self._wake,
        )
        # Two, as who asks whether this process lives must not wait for what readiness looks at.
        self._live = Lane("live", 1, HEALTH_PENDING, self._answer)
        self._ready = Lane("ready", 1, HEALTH_PENDING, self._answer)
        self._rest = Lane("web", REST_THREADS, settings.max_pending, self._answer)

    def _make_poller(self, max_body_bytes: int) -> None:
        siblings.join(self.age)
        self._poller = Poller(
            self.sockets,
            siblings,
            self._handle,
            self._refuse,
            keepalive_s=self.cfg.keepalive,
            max_connections=descriptors.room_for(self.cfg.worker_connections),
            max_body_bytes=max_body_bytes,
        )

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End after the requests under way; the signal itself wakes the main thread."""
        self.alive = False

    def run(self) -> None:
        """Serve until told to stop, then answer what was taken."""
        self._n_polls = -1
        lanes = (self._predictions, self._live, self._ready, self._rest)
        for lane in lanes:
            lane.start()
        try:
            while self.alive and self.ppid == os.getppid():
                self._watch(TURN_S)
            self._finish()
        finally:  # at SIGQUIT, too
            self._poller.ask(self._predictions.resign)
        for lane in lanes:
            lane.stop()

    def _watch(self, timeout_s: float) -> None:
        """Wait for a signal, for ``timeout_s`` at most, and relieve a poller that is held up."""
        if self._predictions.n_polls != self._n_polls:  # else the master is to see that nothing moves here
            self._n_polls = self._predictions.n_polls
            self.notify()
        self._predictions.check()
        select.select([self.PIPE[0]], [], [], LOOK_S if self._predictions.look() else timeout_s)
        with contextlib.suppress(BlockingIOError):
            os.read(self.PIPE[0], 512)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self.PIPE[1], b"\0")

    def _finish(self) -> None:
        """Answer what is under way; who keeps a connection has a moment to notice that it closes."""
        deadline = time.monotonic() + max(LINGER_S, self.cfg.graceful_timeout - STORE_S)
        self._poller.ask(self._take_no_more)
        # The poller's thread does it all; this one looks at what is left, and closes when that one has ended.
        while not self._poller.is_done and time.monotonic() < deadline:
            self._watch(LAST_TURN_S)
        self._poller.ask(self._predictions.resign)
        self._predictions.wait_for_end(LOOK_S, END_S)
        self._poller.close()

    def _take_no_more(self) -> None:
        siblings.leave()
        self._poller.stop_listening()
        self._poller.expire(LINGER_S)

    def _handle(self, connection: Connection, request: bytes) -> None:
        if not self._take(connection, request):
            if self._is_prediction(request):
                self._meter.note_refusal("503")
            self._poller.reject(connection, refusals.overloaded(request), is_last=False)

    def _take(self, connection: Connection, request: bytes) -> bool:
        lane = self._lane(request)
        if lane is self._predictions and self._is_quick(request) and self._has_time():
            return self._predictions.do_or_offer(connection, request)
        return lane.offer(connection, request)

    def _is_quick(self, request: bytes) -> bool:
        return len(request) <= SMALL_BYTES and not (self._may_wait or heads.may_be_repeated(request))

    def _has_time(self) -> bool:
        """Tell whether the poller may stay with a request: nobody is held up, and none is to be refused."""
        poller = self._poller
        is_free = poller.turn_s < ANSWERING_S and not poller.is_yielding
        return is_free and poller.n_ready <= self._max_pending

    def _lane(self, request: bytes) -> Lane:
        path, _, query = heads.target(request).partition(b"?")
        if path.endswith(self._prediction_paths):
            # Who names a version may wait for MongoDB, who asks why for a second or two; the others don't.
            may_wait = b"/versions/" in path or b"explain" in query
            return self._rest if may_wait else self._predictions
        if path in health.PATHS:
            return self._live if path in health.LIVE else self._ready
        return self._rest

    def _is_prediction(self, request: bytes) -> bool:
        return heads.target(request).partition(b"?")[0].endswith(self._prediction_paths)

    def _refuse(self, connection: Connection, error: FramingError) -> None:
        head = connection.incoming.head
        if self._is_prediction(head):
            self._meter.note_refusal(str(error.status))
        answer = refusals.problem(error.status, error.detail, head, is_last=True)
        self._poller.reject(connection, answer, is_last=True)

    def _answer(self, connection: Connection, content: bytes) -> None:
        """Answer one request."""
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
            if self._has_access_log:
                self.log.access(response, request, environ, datetime.now() - started)  # noqa: DTZ005
            if hasattr(body, "close"):
                body.close()
        return not response.should_close()

    def _count_request(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Restarting after %s requests.", self.nr)
            self.alive = False
