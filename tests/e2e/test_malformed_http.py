"""What is not HTTP is answered as a problem like all else; who only holds connections keeps nobody out."""

import json
import random
import resource
import socket

import pytest

from tests.running import SONG, Service

POST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SECRET = b"key-that-nobody-may-see"
MALFORMED = {
    "no request line": (b"HELLO\r\n\r\n", 400),
    "three spaces": (b"GET  / HTTP/1.1\r\n\r\n", 400),
    "a method in small letters": (b"get / HTTP/1.1\r\n\r\n", 400),
    "a version to come": (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x01" * 500, 400),
    "the PROXY protocol": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nGET / HTTP/1.1\r\n\r\n", 400),
    "line feeds only": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a long line": (b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n", 414),
    "a long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 431),
    "a thousand headers": (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 1_000 + b"\r\n", 431),
    "a head without end": (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
    "a name with a space": (b"GET / HTTP/1.1\r\nX Y: " + SECRET + b"\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\n" + SECRET + b"\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\nX-API-Key: a\r\n " + SECRET + b"\r\n\r\n", 400),
    "a NUL in a header": (b"GET / HTTP/1.1\r\nX-API-Key: \0" + SECRET + b"\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}\n", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "length and chunks": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "unknown coding": (POST + b"Transfer-Encoding: br, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk without size": (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk without end": (CHUNKED + b"2\r\n{}XX0\r\n\r\n", 400),
    "a size with more behind": (CHUNKED + b"2 z\r\n{}\r\n0\r\n\r\n", 400),
    "an odd extension": (CHUNKED + b"2;\x01\r\n{}\r\n0\r\n\r\n", 400),
    "a malformed trailer": (CHUNKED + b"2\r\n{}\r\n0\r\n" + SECRET + b"\r\n\r\n", 400),
    "another expectation": (POST + b"Expect: tea\r\nContent-Length: 2\r\n\r\n{}", 417),
}
LEAKS = (b"<html", b"Traceback", b"gunicorn.", b".py", b"Error(", SECRET)


def send(service, request):
    """Send bytes and return what comes until the end of the connection."""
    with socket.create_connection(("127.0.0.1", service.port), 30) as sock:
        sock.sendall(request)
        return b"".join(iter(lambda: sock.recv(65_536), b""))


@pytest.mark.parametrize(("request_", "status"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_are_answered_as_problems(service, request_, status):
    head, _, body = send(service, request_).partition(b"\r\n\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
    problem = json.loads(body)

    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    assert (problem["status"], headers[b"x-request-id"].decode()) == (status, problem["request_id"])
    assert problem["detail"] and not any(leak in head + body for leak in LEAKS)


def test_the_log_has_nothing_of_what_was_malformed(service):
    for request, _ in MALFORMED.values():
        send(service, request)

    log = service.log_path.read_text()
    assert "The chunks of the body are malformed." in log
    assert SECRET.decode() not in log and "Traceback" not in log


def test_a_request_in_chunks_is_answered_as_any_other(service):
    row = json.dumps(SONG).encode()
    chunks = b"%x;part=1\r\n%s\r\n%x\r\n%s\r\n0\r\nDigest: none\r\n\r\n" % (
        10, row[:10], len(row) - 10, row[10:],
    )  # fmt: skip
    answer = send(
        service, CHUNKED.replace(b"Host: a\r\n", b"Host: 127.0.0.1\r\nConnection: close\r\n") + chunks
    )

    assert answer.startswith(b"HTTP/1.1 200 ") and b"prediction_id" in answer


N_DAMAGED = 2_000
WHOLE = [
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    POST + b"Content-Length: 2\r\n\r\n{}",
    CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
]
ODD = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\xff", b"0", b";", b"%00", b"HTTP/1.1",
    b"\r\nTransfer-Encoding: chunked", b"\r\nContent-Length: 5", b"\r\nExpect: 100-continue",
    b"\r\nHost: [::1", b"\r\nCookie: \xff=", b"\r\nAuthorization: Basic \xff", b"\r\nAccept: \xff;q=x",
    b"\r\nContent-Type: \xff",
]  # fmt: skip


def test_damaged_requests_never_end_in_a_fault_of_the_server(service):
    chance = random.Random(5)
    for _ in range(N_DAMAGED):
        request = bytearray(chance.choice(WHOLE))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(request) + 1)
            request[place : place + chance.choice((0, 0, 1, 5))] = chance.choice(ODD)
        answer = send_and_end(service, bytes(request))
        assert not answer or answer[9:10] in b"1234", (bytes(request), answer)
        assert b"<html" not in answer

    assert "Traceback" not in service.log_path.read_text()


def send_and_end(service, request):
    """Send bytes and say that no more come; return the answer, nothing where the connection was reset."""
    with socket.create_connection(("127.0.0.1", service.port), 30) as sock:
        try:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(65_536), b""))
        except ConnectionError:
            return b""


FEW_FILES = 400


@pytest.fixture(scope="module")
def narrow(trained, tmp_path_factory):
    """A service of one process that may have few files open, so few connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, before[1]))
    found = Service(tmp_path_factory.mktemp("narrow"), WEB_CONCURRENCY=1, **trained)
    limits = resource.prlimit(found.process.pid, resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert limits[0] == FEW_FILES
    with found:
        yield found.wait_until_ready()


HELD = {
    "that never asked": b"",
    "that have been answered": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "in the middle of a head": b"GET /healthz HTTP/1.1\r\nHo",
    "in the middle of a body": POST + b"Content-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("sent", HELD.values(), ids=HELD)
def test_more_connections_than_there_is_room_for_keep_nobody_out(narrow, sent):
    held = []
    try:
        for _ in range(FEW_FILES):
            held.append(socket.create_connection(("127.0.0.1", narrow.port), 30))
            held[-1].sendall(sent)
        assert [narrow.post("/predict", SONG, Connection="close")[0] for _ in range(20)] == [200] * 20
        assert narrow.get("/readyz", Connection="close")[0] == 200
    finally:
        for sock in held:
            sock.close()


def test_as_many_connections_as_a_worker_may_have_keep_nobody_out(trained, tmp_path):
    n_held = 1_100  # more than the 1,000 of a worker
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < n_held + 200:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n_held + 200), hard))
    with Service(tmp_path, WEB_CONCURRENCY=1, **trained) as service:
        service.wait_until_ready()
        held = [socket.create_connection(("127.0.0.1", service.port), 30) for _ in range(n_held)]
        statuses = [service.post("/predict", SONG, Connection="close")[0] for _ in range(20)]
        for sock in held:
            sock.close()

    assert statuses == [200] * 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
