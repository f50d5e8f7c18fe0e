"""Keys: who may predict, who may see, and what is answered without any."""

import json

import pytest

from tests.running import SONG


def status(service, method, path, **headers):
    body = json.dumps(SONG) if path == "/predict" else None
    return service.http.request(
        method, service.url + path, body=body, headers={"Content-Type": "application/json", **headers}
    ).status


@pytest.fixture(scope="module")
def keyed(trained, tmp_path_factory):
    from tests.running import Service

    with Service(
        tmp_path_factory.mktemp("keyed"), API_KEYS="use-1,use-2", ADMIN_API_KEYS="all-1", **trained
    ) as found:
        yield found.wait_until_ready()


@pytest.mark.parametrize(
    ("headers", "predict", "drift"),
    [
        ({}, 401, 401),
        ({"X-API-Key": "wrong"}, 401, 401),
        ({"X-API-Key": "use-1"}, 200, 403),
        ({"Authorization": "Bearer use-2"}, 200, 403),
        ({"X-API-Key": "all-1"}, 200, 200),
        ({"Authorization": "Bearer all-1"}, 200, 200),
        ({"X-API-Key": "ñ"}, 401, 401),
        ({"Authorization": "Basic !!"}, 401, 401),
    ],
)
def test_a_key_opens_what_it_is_for(keyed, headers, predict, drift):
    headers = {name: value.encode() for name, value in headers.items()}

    assert status(keyed, "POST", "/predict", **headers) == predict
    assert status(keyed, "GET", "/models/songs/drift", **headers) == drift


def test_health_needs_no_key(keyed):
    assert [status(keyed, "GET", path) for path in ("/healthz", "/readyz")] == [200, 200]


def test_a_browser_may_send_the_admin_key_as_password_to_see_pages_only(keyed):
    basic = {"Authorization": "Basic OmFsbC0x"}  # :all-1

    assert status(keyed, "GET", "/dashboard", **basic) == 200
    assert status(keyed, "POST", "/predict", **basic) == 401


def test_without_keys_a_caller_from_elsewhere_is_told_which_variable_to_set(service):
    status, problem = service.get("/models", **{"X-Forwarded-For": "203.0.113.9"})

    assert status == 403
    assert "API_KEYS" in problem["detail"]


def test_without_keys_everybody_is_answered_where_that_is_set(serve):
    service = serve(ALLOW_ANONYMOUS="true")

    assert service.get("/models", **{"X-Forwarded-For": "203.0.113.9"})[0] == 200
