"""One connection of a client: its socket, what came, and what it has not taken yet.

The poller reads and closes; while a request is answered, the thread that answers it is the only one to write.
"""

import select
import socket
from enum import IntEnum
from typing import Any

from app.server.framing import Incoming

# A streamed answer waits for its reader from here on; an answer in one piece is in memory already.
MAX_UNSENT_BYTES = 8_388_608
STALL_S = 20.0


class Stage(IntEnum):
    """What a connection waits for that is not busy, in the order in which they are closed to make room."""

    ENDING = 0  # until the client has noticed that it was answered for the last time
    IDLE = 1  # for a request
    RECEIVING = 2  # for the rest of a request
    SENDING = 3  # until the client reads the rest of its answer


class Connection:
    """A connection, owned by the poller unless ``is_busy``.

    Attributes
    ----------
    sock : Outbox
        What gunicorn writes answers to; it calls it so.
    client, server : Any
        Addresses of both ends, as ``accept`` and ``getsockname`` gave them.
    incoming : Incoming
        What came.
    is_busy : bool
        Whether a thread answers a request of it.
    is_parked : bool
        Whether the poller does not look at it, as more came while it was busy.
    is_ending : bool
        Whether it is closed as soon as the client has everything.
    deadline : float
        When the poller closes it, by the monotonic clock, unless it is busy.
    n_requests : int
        How many requests came over it.
    """

    __slots__ = (
        "client",
        "deadline",
        "handle",
        "incoming",
        "is_busy",
        "is_ending",
        "is_parked",
        "n_requests",
        "server",
        "sock",
    )

    def __init__(self, handle: socket.socket, client: Any, server: Any, max_body_bytes: int) -> None:
        handle.setblocking(False)
        self.handle = handle
        self.client = client
        self.server = server
        self.sock = Outbox(handle)
        self.incoming = Incoming(max_body_bytes)
        self.is_busy = False
        self.is_parked = False
        self.is_ending = False
        self.deadline = 0.0
        self.n_requests = 0

    def fileno(self) -> int:
        """Return what a selector needs."""
        return self.handle.fileno()

    @property
    def stage(self) -> Stage:
        """What it waits for."""
        if self.sock.is_waiting:
            return Stage.SENDING
        if self.is_ending:
            return Stage.ENDING
        return Stage.RECEIVING if self.incoming else Stage.IDLE


class Outbox:
    """What is on its way to a client: sent with as few calls as there can be, without waiting for the client.

    Has the methods of a socket that gunicorn's responses use.

    Attributes
    ----------
    n_offered : int
        Bytes that were ever given to it.
    """

    __slots__ = ("_handle", "_parts", "_size", "n_offered")

    def __init__(self, handle: socket.socket) -> None:
        self._handle = handle
        self._parts: list[bytes | memoryview] = []
        self._size = 0
        self.n_offered = 0

    def sendall(self, data: bytes) -> None:
        """Take a part of an answer. Raises OSError if it is part of a long one that nobody reads."""
        self._parts.append(data)
        self._size += len(data)
        self.n_offered += len(data)
        if self._size > MAX_UNSENT_BYTES and len(self._parts) > 2:
            self._wait_for_reader()

    send = sendall

    @property
    def is_waiting(self) -> bool:
        """Whether the client has not taken everything yet."""
        return bool(self._parts)

    def gettimeout(self) -> float:
        """Say that nothing here blocks."""
        return 0.0

    def flush(self) -> bool:
        """Send what the client takes now and return whether that is all. Raises OSError if it is gone."""
        if not self._parts:
            return True
        data = memoryview(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
        while data:
            try:
                data = data[self._handle.send(data) :]
            except (BlockingIOError, InterruptedError):
                self._parts, self._size = [data], len(data)
                return False
        self._parts, self._size = [], 0
        return True

    def _wait_for_reader(self) -> None:
        while not self.flush() and self._size > MAX_UNSENT_BYTES // 2:
            poller = select.poll()
            poller.register(self._handle, select.POLLOUT)
            if not poller.poll(STALL_S * 1_000):
                raise TimeoutError("the client does not read the answer")
