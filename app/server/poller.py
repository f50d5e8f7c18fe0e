"""The thread that owns all connections of a worker: takes them, gathers requests, sends what is left to send.

It never waits for one client, so neither slow bodies nor slow readers hold a thread. Everything here runs in
that thread but ``ask`` and ``settle``, by which those who answer give a connection back. Another thread may
take its place while ``handle`` is called: nothing here is touched behind that call, which raises in the end.
"""

import contextlib
import errno
import heapq
import os
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from app.server.connection import STALL_S, Connection, Stage
from app.server.framing import FramingError, Incoming
from app.server.siblings import Siblings

# How long a request may take to arrive, from its first byte to its last.
RECEIVE_S = 20.0
# How long what a client still sends is thrown away before its connection closes (RFC 9112, section 9.6).
LINGER_S = 2.0
SWEEP_S = 1.0
# How long a worker with more connections than another leaves new ones to it.
YIELD_S = 0.002
MAX_ACCEPTS = 16
# What accept says where the system has no file or memory left for a connection.
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Requests that are not complete may take so many times the largest body; more are refused.
MAX_BODIES = 8
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Handler = Callable[[Connection, bytes], None]
Refuser = Callable[[Connection, FramingError], None]


class Poller:
    """All connections of one worker.

    Parameters
    ----------
    listeners : sequence of sockets
        Where new connections come from.
    siblings : Siblings
        Who else takes connections from there.
    handle : callable
        Gets each complete request; its connection is busy until ``settle`` or ``reject`` is called for it.
    refuse : callable
        Gets what cannot become a request, and why; must call ``reject``.
    keepalive_s : float
        How long a connection stays open without a request.
    max_connections : int
        Beyond, a new one takes the place of one that waits: see ``_make_room``.
    max_body_bytes : int
        Largest body.
    """

    def __init__(
        self,
        listeners: Sequence[Any],
        siblings: Siblings,
        handle: Handler,
        refuse: Refuser,
        *,
        keepalive_s: float,
        max_connections: int,
        max_body_bytes: int,
    ) -> None:
        self._listeners = listeners
        self._siblings = siblings
        self._handle = handle
        self._refuse = refuse
        self._keepalive_s = keepalive_s
        self._max_connections = max_connections
        self._max_body_bytes = max_body_bytes
        self._selector = selectors.DefaultSelector()
        self._connections: set[Connection] = set()
        self._n_buffered = 0
        self._is_open = True
        self._is_listening = False
        self._listen_again_at = 0.0
        self._sweep_at = 0.0
        self._n_ready, self._turn_at = 0, 0.0
        self._errands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._bell, self._bell_rope = os.pipe()
        for end in (self._bell, self._bell_rope):
            os.set_blocking(end, False)
        self.watch(self._bell, self._hear_bell)

    @property
    def n_connections(self) -> int:
        """Connections that are open."""
        return len(self._connections)

    @property
    def is_done(self) -> bool:
        """Whether no connection is open and none is taken any more."""
        return not (self._is_open or self._connections)

    @property
    def n_ready(self) -> int:
        """How many had something for us when this turn began."""
        return self._n_ready

    @property
    def turn_s(self) -> float:
        """For how long this turn has lasted."""
        return time.monotonic() - self._turn_at

    @property
    def is_yielding(self) -> bool:
        """Whether new connections are left to others for a moment, to be looked at again soon."""
        return time.monotonic() < self._listen_again_at

    def watch(self, handle: Any, action: Callable[[], None]) -> None:
        """Call ``action`` whenever ``handle`` can be read."""
        self._selector.register(handle, selectors.EVENT_READ, action)

    def turn(self, timeout_s: float) -> None:
        """Do what there is to do, waiting for it for ``timeout_s`` at most."""
        is_yielding = self._is_open and self.is_yielding
        self._listen(self._is_open and not is_yielding)
        is_asked = not self._errands.empty()
        events = self._selector.select(0.0 if is_asked else YIELD_S if is_yielding else timeout_s)
        self._n_ready, self._turn_at = len(events), time.monotonic()
        for key, mask in events:
            if not isinstance(key.data, Connection):
                key.data()
            elif key.data in self._connections:  # another event of this turn may have closed it
                self._on_event(key.data, mask)
        # Those of now: what they bring about waits for another turn, so that none comes before all others.
        for _ in range(self._errands.qsize()):
            self._errands.get_nowait()()
        if (now := time.monotonic()) >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._sweep(now)

    def expire(self, within_s: float) -> None:
        """Close each connection that is idle ``within_s`` from now; from now on none is kept for longer.

        A request that runs may have been promised a connection that is kept.
        """
        self._keepalive_s = min(self._keepalive_s, within_s)
        deadline = time.monotonic() + within_s
        for connection in self._connections:
            connection.deadline = min(connection.deadline, deadline)
        self._sweep_at = min(self._sweep_at, deadline)

    def reject(self, connection: Connection, answer: bytes, *, is_last: bool) -> None:
        """Answer a request without a thread; ``is_last`` closes the connection afterwards."""
        if is_last:
            self._n_buffered -= len(connection.incoming)
            connection.incoming.clear()
        connection.is_ending = is_last
        connection.sock.sendall(answer)
        self._send(connection)

    def settle(self, connection: Connection, *, is_kept: bool) -> None:
        """Give back a connection whose request is answered. Called by the thread that answered it."""
        try:
            is_sent = connection.sock.flush()
        except OSError:
            is_kept, is_sent = False, True
        if not (is_kept and is_sent):
            connection.is_ending = not is_kept
            self.ask(lambda: self._send(connection))
            return
        connection.deadline = time.monotonic() + self._keepalive_s
        connection.is_busy = False
        # Looked at after is_busy was unset: the poller looks the other way round, so one of the two sees it.
        if connection.is_parked or connection.incoming:
            self.ask(lambda: self._resume(connection))

    def stop_listening(self) -> None:
        """Leave new connections to others; after the master's end this frees the address for the next one."""
        self._is_open = False
        self._listen(False)
        for listener in self._listeners:
            listener.close()

    def close(self) -> None:
        """Close everything but the bell: who is late with an answer still rings it."""
        for connection in list(self._connections):
            self._close(connection)
        self.stop_listening()
        self._selector.close()

    def ask(self, errand: Callable[[], None]) -> None:
        """Have something done by the thread that polls, soon. Called by any thread."""
        self._errands.put(errand)
        self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell_rope, b"\0")

    def _hear_bell(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, 4_096)

    def _sweep(self, now: float) -> None:
        self._siblings.tell(self.n_connections)
        for connection in [c for c in self._connections if not c.is_busy and c.deadline <= now]:
            if connection.stage is Stage.RECEIVING:
                self._refuse(connection, FramingError(408, "The request did not arrive in time."))
            else:
                self._close(connection)

    def _listen(self, is_wanted: bool) -> None:
        if is_wanted == self._is_listening:
            return
        self._is_listening = is_wanted
        for listener in self._listeners:
            if is_wanted:
                listener.setblocking(False)
                self.watch(listener, lambda listener=listener: self._accept_some(listener))  # type: ignore[misc]
            else:
                self._selector.unregister(listener)

    def _accept_some(self, listener: Any) -> None:
        for _ in range(MAX_ACCEPTS):
            if self._leaves_it_to_others() or not self._has_room() or not self._accept(listener):
                return

    def _leaves_it_to_others(self) -> bool:
        """Return whether another worker should take the next connection; once, then it is ours."""
        if self._listen_again_at == 0.0 and self._siblings.has_more_than_another(self.n_connections):
            self._listen_again_at = time.monotonic() + YIELD_S
            return True
        self._listen_again_at = 0.0
        return False

    def _has_room(self) -> bool:
        """Return whether one more may be taken; it is taken before others are closed for it."""
        return self.n_connections <= self._max_connections or self._make_room()

    def _make_room(self, newcomer: Connection | None = None) -> bool:
        """Close some that wait for their clients, so that who only holds connections keeps nobody out.

        By ``Stage``, and in each stage those that have waited longest. A connection whose request is being
        answered stays; where all are busy, new ones wait a moment.
        """
        waiting = (one for one in self._connections if not (one.is_busy or one is newcomer))
        chosen = heapq.nsmallest(MAX_ACCEPTS, waiting, key=lambda one: (one.stage, one.deadline))
        for connection in chosen:
            self._close(connection)
        if not chosen:
            self._listen_again_at = time.monotonic() + YIELD_S
        return bool(chosen)

    def _accept(self, listener: Any) -> bool:
        """Take one connection; return whether there was one."""
        try:
            handle, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            return self._make_room()
        connection = Connection(handle, client, listener.getsockname(), self._max_body_bytes)
        connection.deadline = time.monotonic() + self._keepalive_s
        self._connections.add(connection)
        self._siblings.tell(self.n_connections)
        self._selector.register(connection, selectors.EVENT_READ, connection)
        if self.n_connections > self._max_connections:
            return self._make_room(connection)
        return True

    def _on_event(self, connection: Connection, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._send(connection)
        elif connection.is_busy:
            self._park(connection)
        else:
            self._read(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.handle.recv(connection.incoming.wanted)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
        elif not connection.is_ending:
            self._take_in(connection, data)

    def _take_in(self, connection: Connection, data: bytes) -> None:
        if not connection.incoming:
            connection.deadline = time.monotonic() + RECEIVE_S
        connection.incoming.add(data)
        self._n_buffered += len(data)
        if self._n_buffered > MAX_BODIES * self._max_body_bytes:
            self._refuse(connection, FramingError(503, "Too many requests are arriving at once."))
            return
        self._hand_over(connection)

    def _hand_over(self, connection: Connection) -> None:
        """Have the next request answered if all of it is there."""
        try:
            request = self._take(connection.incoming)
        except FramingError as error:
            self._refuse(connection, error)
            return
        if request is not None:
            connection.n_requests += 1
            connection.is_busy = True
            self._handle(connection, request)
        elif connection.incoming.expects_continue:
            connection.incoming.expects_continue = False
            connection.sock.sendall(CONTINUE)
            with contextlib.suppress(OSError):
                connection.sock.flush()

    def _take(self, incoming: Incoming) -> bytes | None:
        """Take the next request, and count what it was and what was thrown away before it."""
        n_before = len(incoming)
        try:
            return incoming.take()
        finally:
            self._n_buffered -= n_before - len(incoming)

    def _park(self, connection: Connection) -> None:
        """Look away from a client that sends more before it has its answer."""
        connection.is_parked = True
        self._selector.unregister(connection)
        if not connection.is_busy:
            self._resume(connection)

    def _resume(self, connection: Connection) -> None:
        if connection.is_busy or connection.sock.is_waiting or connection not in self._connections:
            return
        self._look_at(connection, selectors.EVENT_READ)
        if connection.incoming:
            self._hand_over(connection)

    def _look_at(self, connection: Connection, events: int) -> None:
        if connection.is_parked:
            connection.is_parked = False
            self._selector.register(connection, events, connection)
        else:
            self._selector.modify(connection, events, connection)

    def _send(self, connection: Connection) -> None:
        """Send what the client takes; go on once it has everything."""
        try:
            is_sent = connection.sock.flush()
        except OSError:
            self._close(connection)
            return
        connection.deadline = time.monotonic() + STALL_S
        connection.is_busy = False  # the poller's again, for the sweep, though not to be read from
        if not is_sent:
            self._look_at(connection, selectors.EVENT_WRITE)
        elif connection.is_ending:
            self._linger(connection)
        else:
            connection.deadline = time.monotonic() + self._keepalive_s
            # Not at once: a client may have sent hundreds that are all refused.
            self.ask(lambda: self._resume(connection))

    def _linger(self, connection: Connection) -> None:
        """Say that nothing follows, and throw away what still comes: closing at once may cost the answer."""
        connection.deadline = time.monotonic() + LINGER_S
        self._look_at(connection, selectors.EVENT_READ)
        try:
            connection.handle.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._n_buffered -= len(connection.incoming)
        self._siblings.tell(self.n_connections)
        if not connection.is_parked:
            self._selector.unregister(connection)
        connection.handle.close()
