"""Whom the poller closes when it has no room, and what it says to those whose request never ends."""

import socket
import threading
from contextlib import suppress
from itertools import pairwise

import pytest

from app.server import poller as polling
from app.server import refusals
from app.server.poller import Poller
from app.server.siblings import Siblings

GET = b"GET / HTTP/1.1\r\n\r\n"


class Server:
    """A poller with room for few connections, which keeps what it was asked."""

    def __init__(self, max_connections):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.asked, self.clients = [], []
        self.answers_at_once = self.refuses_all = False
        self.poller = Poller(
            [self.listener],
            Siblings(),
            self._handle,
            self._refuse,
            keepalive_s=75,
            max_connections=max_connections,
            max_body_bytes=1_000,
        )

    def _handle(self, connection, request):
        self.asked.append(connection)
        if self.refuses_all:
            self.poller.reject(connection, refusals.overloaded(request), is_last=False)
        elif self.answers_at_once:
            connection.sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            self.poller.settle(connection, is_kept=True)

    def _refuse(self, connection, error):
        answer = refusals.problem(error.status, error.detail, b"", is_last=True)
        self.poller.reject(connection, answer, is_last=True)

    def connect(self, sent=b""):
        """Return a client's end, after the poller has seen what it sent."""
        sock = socket.create_connection(self.listener.getsockname(), 10)
        self.clients.append(sock)
        sock.sendall(sent)
        self.turn()
        return sock

    def close(self):
        self.poller.close()
        for sock in self.clients:
            sock.close()

    def turn(self):
        for _ in range(3):
            self.poller.turn(0.02)


@pytest.fixture
def serve():
    started = []

    def start(max_connections):
        started.append(Server(max_connections))
        return started[-1]

    yield start
    for server in started:
        server.close()


def is_closed(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


def test_the_longest_idle_makes_room_before_any_that_sends(serve, monkeypatch):
    monkeypatch.setattr(polling, "MAX_ACCEPTS", 1)
    server = serve(3)
    sending, idle_long, idle_short = server.connect(GET[:5]), server.connect(), server.connect()
    newcomer = server.connect(GET)

    assert [is_closed(sock) for sock in (sending, idle_long, idle_short, newcomer)] == [
        False,
        True,
        False,
        False,
    ]
    assert len(server.asked) == 1


def test_a_request_under_way_is_never_closed_for_others(serve):
    server = serve(2)
    busy = [server.connect(GET) for _ in range(3)]  # one is taken before others are closed for it
    waiting = server.connect(GET)

    assert (len(server.asked), server.poller.n_connections) == (3, 3)
    server.asked[0].sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    server.poller.settle(server.asked[0], is_kept=True)
    server.turn()
    assert len(server.asked) == 4
    assert not any(map(is_closed, [*busy[1:], waiting]))


def test_a_request_that_does_not_end_in_time_is_told_so(serve, monkeypatch):
    monkeypatch.setattr(polling, "RECEIVE_S", 0.0)
    monkeypatch.setattr(polling, "SWEEP_S", 0.0)
    client = serve(2).connect(GET[:5])

    assert client.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_goes_while_its_answer_is_sent_ends_nothing_else(serve):
    server = serve(2)
    client = server.connect(GET)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()  # a reset
    server.asked[0].sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    server.poller.settle(server.asked[0], is_kept=True)
    server.turn()

    assert server.poller.n_connections == 0


def test_errands_behind_one_that_raises_are_done_in_the_next_turn(serve):
    server, done = serve(2), []

    def leave():
        raise InterruptedError

    server.poller.ask(leave)
    server.poller.ask(lambda: done.append(1))
    with pytest.raises(InterruptedError):
        server.poller.turn(1)
    server.poller.turn(1)

    assert done == [1]


def test_errands_behind_one_that_takes_long_are_done_by_who_polls_next(serve):
    server, begun, done, go_on = serve(2), threading.Event(), [], threading.Event()

    def wait():
        begun.set()
        assert go_on.wait(30)
        raise InterruptedError

    def poll():
        with suppress(InterruptedError):
            server.poller.turn(1)

    server.poller.ask(wait)
    server.poller.ask(lambda: done.append(1))
    held_up = threading.Thread(target=poll)
    held_up.start()
    assert begun.wait(30)
    server.poller.turn(1)

    assert done == [1]
    go_on.set()
    held_up.join()


def test_who_comes_in_the_turn_in_which_it_stops_to_listen_is_no_fault(serve):
    server = serve(2)
    server.poller.turn(0)
    server.poller.ask(server.poller.stop_listening)
    server.clients.append(socket.create_connection(server.listener.getsockname(), 10))

    server.poller.turn(1)

    assert server.poller.n_connections == 1


def test_requests_that_come_all_at_once_are_answered_a_turn_each(serve):
    server = serve(2)
    server.answers_at_once = True
    server.connect()
    server.clients[0].sendall(GET * 20)
    counts = []
    while len(server.asked) < 20:
        server.poller.turn(1)
        counts.append(len(server.asked))

    # One that was read in a turn, and one that waited in it.
    assert max(after - before for before, after in pairwise([0, *counts])) <= 2


def test_hundreds_of_requests_that_are_refused_are_told_so_one_after_another(serve):
    server = serve(2)
    server.refuses_all = True
    client = server.connect()
    client.sendall(GET * 400)
    client.settimeout(0)
    received = b""
    while received.count(b"HTTP/1.1 503 ") < 400:
        server.poller.turn(1)
        with suppress(BlockingIOError):
            received += client.recv(1_000_000)

    assert server.poller.n_connections == 1


def test_what_is_thrown_away_before_a_request_is_not_counted_for_ever(serve):
    server = serve(2)
    server.connect(b"\r\n" * 3_000 + GET)
    assert len(server.asked) == 1

    for sock in server.clients:
        sock.close()
    server.poller.settle(server.asked[0], is_kept=True)
    server.turn()

    assert (server.poller.n_connections, server.poller._n_buffered) == (0, 0)


def test_it_is_done_when_it_takes_no_more_and_the_last_connection_is_closed(serve):
    server = serve(2)
    server.connect()
    server.poller.stop_listening()
    assert not server.poller.is_done

    server.poller.expire(0.0)
    server.turn()

    assert server.poller.is_done


def test_an_answer_to_head_has_no_body():
    head = refusals.overloaded(b"HEAD / HTTP/1.1\r\n\r\n")

    assert head.endswith(b"\r\n\r\n") and b"Content-Length: " in head
