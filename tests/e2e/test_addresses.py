"""The service listens where HOST says, over IPv6, too."""

import socket

import pytest

from tests.running import SONG, Service


@pytest.mark.parametrize("host", ["::1", "::"])
def test_a_host_with_colons_is_an_ipv6_address(host, trained, tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")

    with Service(tmp_path, **trained, HOST=host, WEB_CONCURRENCY=1) as service:
        service.url = f"http://[::1]:{service.port}"
        service.wait_until_ready()

        assert service.post("/predict", SONG)[0] == 200
