"""What attackers send: each refused, with a clear answer and never a 5xx, while others are served."""

import json
import re
import socket

import pytest

from tests.running import SONG
from utils.errors import SpecError

TEXT = json.dumps(SONG)
OPERATORS = [{"$gt": ""}, {"$ne": None}, {"$where": "sleep(10000)"}, ["$in"], "{$gt: 0}"]
EVERY_GET = (
    "/models/songs/history?at=9999-12-31T23:59:59-23:59",
    "/models/songs/history?at=0001-01-01T00:00:00%2B23:59",
    "/models/songs/history?at=%00",
    "/models/songs/drift?limit=99999999999999999999",
    "/models/songs/drift?limit=-1",
    "/predictions/%24ne",
    "/jobs/%7B%22$gt%22:%22%22%7D",
    "/subjects/%00",
)
PATHS = (
    "/models/../../etc/passwd",
    "/models/..%2f..%2f..%2fetc%2fpasswd",
    "/models/songs/versions/..%2f1/predict",
    "/static/../auth.py",
    "/static/..%2fauth.py",
    "/static/%2e%2e/auth.py",
    "/static/..%5cauth.py",
    "/models/%00",
    "/models/%ff%fe",
    "/dashboard/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
)


def post(service, path, body, kind="application/json", **headers):
    data = body if isinstance(body, bytes) else body.encode()
    return service.http.request(
        "POST", service.url + path, body=data, headers={"Content-Type": kind, **headers}
    )


def raw(service, request, wait_s=10.0):
    """Send bytes and return what comes until the end of the connection."""
    with socket.create_connection(("127.0.0.1", service.port), wait_s) as sock:
        sock.sendall(request)
        found = b""
        while part := sock.recv(65_536):
            found += part
    return found


def refused(answer):
    """Tell whether an answer is a problem that is the sender's."""
    return 400 <= answer.status < 500 and "problem+json" in answer.headers["Content-Type"]


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_operators_are_no_values_of_any_field(service, operator):
    for name in SONG:
        assert refused(post(service, "/predict", json.dumps({**SONG, name: operator})))
    assert refused(post(service, "/models/songs/promote", json.dumps({"version": operator})))
    if not isinstance(operator, str):
        for field in ("prediction_id", "label"):
            label = {"prediction_id": "p", "label": 1, field: operator}
            assert refused(post(service, "/labels", json.dumps([label])))


@pytest.mark.parametrize("operator", OPERATORS[:4], ids=str)
def test_operators_are_no_values_of_any_field_of_any_body(service, operator):
    paths = service.get("/openapi.json")[1]["paths"]
    n_sent = 0
    for path, method, example in described_bodies(paths):
        for name in example:
            url = re.sub(r"{(\w+)}", lambda place: "songs" if place[1] == "model" else "p", path)
            answer = service.http.request(method, service.url + url, json={**example, name: operator})
            assert refused(answer), (url, name, answer.status)
            n_sent += 1

    assert n_sent >= 8


def described_bodies(paths):
    """Yield path, method and example of each route that takes an object which is no row."""
    for path, operations in paths.items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            tag = operation["tags"][0]
            if isinstance(content.get("example"), dict) and not tag.startswith(("Predictions", "Training")):
                yield path, method.upper(), content["example"]


@pytest.mark.parametrize(
    "query", ["version[$ne]=1", "subject[$gt]=", "id[$ne]=", "version=%7B%22$ne%22:1%7D"]
)
def test_operators_in_a_search_find_nothing_more(service, query):
    post(service, "/predict", TEXT)
    answer = service.http.request(
        "GET", f"{service.url}/dashboard/songs/predictions.csv?subject=nobody&{query}"
    )

    assert answer.status == 200
    assert len(answer.data.decode().splitlines()) == 1  # the header


PICKLE = b"cos\nsystem\n(S'touch /tmp/owned'\ntR."


@pytest.mark.parametrize(
    "path", ["/predict", "/invocations", "/v2/models/songs/infer", "/labels", "/models/songs/retrain"]
)
@pytest.mark.parametrize(
    "kind", ["application/x-python-pickle", "application/octet-stream", "application/json"]
)
def test_a_pickle_is_read_nowhere(service, path, kind):
    assert refused(post(service, path, PICKLE, f"application/{kind}"))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", "a/b", "a\\b", "/etc", "songs\0", "", ".hidden", "a" * 64]
)
def test_the_name_of_a_model_is_no_path(name):
    from model import spec

    text = {"name": name, "task": "regression", "target": {"name": "y"}, "data": {"train": "x.csv"}}
    with pytest.raises(SpecError):
        spec.loads(json.dumps({**text, "features": {"x": {"type": "number"}}}))


def test_operators_as_names_of_fields_are_not_looked_at(service):
    odd = {"$where": "sleep(10000)", "a.b": 1, "": 2, "\0": 3, "__proto__": {}}

    assert post(service, "/predict", json.dumps({**SONG, **odd})).status == 200


@pytest.mark.parametrize("path", EVERY_GET)
def test_odd_parameters_are_answered(service, path):
    answer = service.http.request("GET", service.url + path)

    assert refused(answer)


@pytest.mark.parametrize("path", PATHS)
def test_paths_lead_nowhere_else(service, path):
    answer = raw(service, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())

    assert answer.split(b" ", 2)[1] in (b"404", b"405")
    assert b"import" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "application/json"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json"),
        (TEXT.replace("102.0", "9" * 400_000).encode(), "application/json"),
        (TEXT.replace("102.0", "NaN").encode(), "application/json"),
        (TEXT.encode("utf-16"), "application/json"),
        (b'{"a": "\xff"}', "application/json"),
        (b"cos\nsystem\n(S'id'\ntR.", "application/x-python-pickle"),
        (b"\x1f\x8b\x08\x00bomb", "application/json"),
        (b"a,b\n" + b"x" * 1_000_000, "text/csv"),
        (b"tempo\n" + b"1\n" * 1_000_000, "text/csv"),
        (",".join(f"c{i}" for i in range(200_000)).encode() + b"\n1", "text/csv"),
        (b'a,b\n"' + b'""' * 500_000, "text/csv"),
        (b"a,b\n\0,\0", "text/csv"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_bombs_do_not_go_off(service, body, kind):
    assert refused(post(service, "/predict", body, kind))


def test_a_body_that_is_too_long_is_refused_before_it_is_read(service):
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n"

    assert raw(service, head).startswith(b"HTTP/1.1 413")


def test_clients_that_never_end_their_request_hold_nobody_up(service):
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"
    slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(200)]
    try:
        for sock in slow:
            sock.sendall(head)
        assert [post(service, "/predict", TEXT).status for _ in range(10)] == [200] * 10
    finally:
        for sock in slow:
            sock.close()


def test_a_request_id_cannot_bring_headers_or_lines_of_the_log(service):
    head = b"GET /models/none HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Request-ID: "
    answers = [
        raw(service, head + odd + b"\r\n\r\n")
        for odd in (b"a%0d%0aSet-Cookie: x=1", b'a\\nforged", "level": "x', b"a\tb", b"a" * 500)
    ]

    assert all(answer.lower().count(b"\r\nx-request-id:") == 1 for answer in answers)
    assert not any(b"Set-Cookie" in answer for answer in answers)


def test_names_from_outside_do_not_forge_lines_of_the_log(service):
    forged = '\n{"level": "ERROR", "message": "forged"}'
    post(service, "/predict", json.dumps({**SONG, forged: 1, "tempo": forged}))
    service.http.request("GET", service.url + "/models/%0A%7B%22message%22%3A%22forged%22%7D")
    lines = [line for line in service.log_path.read_text().splitlines() if line.startswith("{")]

    assert lines
    assert not any(json.loads(line).get("message") == "forged" for line in lines)


def test_what_a_page_repeats_is_text(service):
    page = service.http.request(
        "GET", service.url + "/login?next=/docs%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    )

    assert page.status == 200
    assert b"<script>alert" not in page.data


def test_a_login_that_leads_nowhere_leads_home(service):
    page = service.http.request("GET", service.url + "/login?next=http://[")

    assert page.status == 200
    assert b'value="/dashboard"' in page.data


def test_requests_that_are_none_end_in_a_4xx(service):
    odd = [
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\r\n b\r\n\r\n",
    ]

    assert {raw(service, one).split(b" ", 2)[1][:1] for one in odd} == {b"4"}


def test_guessing_a_key_takes_as_long_whatever_is_right_about_it(tmp_path):
    """All digests are compared, each by a comparison that does not stop early."""
    import hmac
    from unittest import mock

    from mlops.keys import KeyRing
    from utils.settings import load

    ring = KeyRing(load({"API_KEYS": "first,second,third"}, None))
    with mock.patch("mlops.keys.hmac.compare_digest", wraps=hmac.compare_digest) as compared:
        n_compared = []
        for guess in (b"first", b"thirx", b"third", b""):
            compared.reset_mock()
            ring.find(guess)
            n_compared.append(compared.call_count)

    assert n_compared == [3, 3, 3, 3]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        f"name: bomb\nfeatures:\n  a: {{type: category, categories: *j}}\n{BOMB}",
        "!!python/object/apply:os.system ['touch /tmp/owned']",
        "name: a\nfeatures: " + "[" * 5_000,
        "name: a\nfeatures: " + "{a: " * 5_000,
        "\0\0\0",
        "&a [*a]",
        "name: &n {n: *n}",
        "- " * 20_000,
    ],
    ids=range(9),
)
def test_a_spec_cannot_be_a_bomb(tmp_path, text):
    from model import spec

    path = tmp_path / "bomb.yaml"
    path.write_text(text)

    with pytest.raises(SpecError):
        spec.load(path)
