"""Traces go on from the caller to a collector."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.running import SONG, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def collector():
    """What a collector of OpenTelemetry was sent, as (path, body)."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    received_at = f"http://127.0.0.1:{server.server_port}"
    yield received_at, received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_is_a_span_of_the_callers_trace(serve, collector):
    url, received = collector
    service = serve(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_SERVICE_NAME="songs-service")

    service.post("/predict", SONG, traceparent=f"00-{TRACE}-{PARENT}-01")
    wait_until(lambda: any(bytes.fromhex(TRACE) in body for _, body in received))

    path, body = next((path, body) for path, body in received if bytes.fromhex(TRACE) in body)
    assert path == "/v1/traces"
    assert bytes.fromhex(PARENT) in body
    assert b"POST /predict" in body and b"songs-service" in body
