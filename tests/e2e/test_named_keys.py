"""Keys with names, scopes and expiry; sessions of browsers; limits; what other sites' pages may not do."""

import json
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from mlops import keys
from tests.running import SONG, Service, wait_until
from utils.time import now

ADMIN = "the-admin-key"


def line_of(name, scopes, expires_at=None):
    secret, key = keys.new(name, scopes, expires_at)
    return secret, key.line


@pytest.fixture(scope="module")
def given():
    """Secrets by name, and the file that opens them."""
    made = {
        "shop": line_of("shop", ["predict"]),
        "watcher": line_of("watcher", ["read"]),
        "gone": line_of("gone", ["predict"], now() - timedelta(days=1)),
    }
    return {name: secret for name, (secret, _) in made.items()}, [line for _, line in made.values()]


@pytest.fixture(scope="module")
def key_file(given, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text("# who may do what\n" + "\n".join(given[1]) + "\nplain-1,plain-2\n")
    return path


@pytest.fixture(scope="module")
def named(trained, key_file, tmp_path_factory):
    settings = {"API_KEYS_FILE": key_file, "ADMIN_API_KEYS": ADMIN, "CORS_ORIGINS": "https://shop.example"}
    with Service(tmp_path_factory.mktemp("named"), **settings, **trained) as found:
        yield found.wait_until_ready()


def predict(service, key, **headers):
    return service.post("/predict", SONG, **{"X-API-Key": key}, **headers)


def send(service, method, path, body="", **headers):
    return service.http.request(method, service.url + path, body=body, headers=headers, redirect=False)


@pytest.mark.parametrize(
    ("name", "predicts", "labels", "drift", "checks"),
    [("shop", 200, 403, 403, 403), ("watcher", 403, 403, 200, 403), ("gone", 401, 401, 401, 401)],
)
def test_a_named_key_opens_its_scopes_only(named, given, name, predicts, labels, drift, checks):
    key = {"X-API-Key": given[0][name]}

    assert predict(named, given[0][name])[0] == predicts
    assert named.post("/labels", {"prediction_id": "none", "label": 1}, **key)[0] == labels
    assert named.get("/models/songs/drift", **key)[0] == drift
    assert named.post("/models/songs/rollback", b"", **key)[0] == checks


def test_a_refused_key_is_told_by_its_name_and_what_it_lacks(named, given):
    _, problem = predict(named, given[0]["watcher"])

    assert "'watcher'" in problem["detail"]
    assert "predict" in problem["detail"]


def test_keys_come_and_go_without_a_restart(named, key_file):
    secret, line = line_of("late", ["predict"])
    assert predict(named, secret)[0] == 401

    before = key_file.read_text()
    key_file.write_text(before + line + "\n")
    wait_until(lambda: all(predict(named, secret)[0] == 200 for _ in range(8)))
    key_file.write_text(before)

    wait_until(lambda: all(predict(named, secret)[0] == 401 for _ in range(8)))


def test_a_file_that_cannot_be_read_any_more_leaves_the_keys_as_they_are(named, given, key_file):
    before = key_file.read_text()
    key_file.write_text("shop nothing never sha256:12\n")
    try:
        wait_until(lambda: predict(named, given[0]["shop"])[0] == 200 and _has_complained(named))
    finally:
        key_file.write_text(before)


def _has_complained(service):
    return "the keys stay as they were" in service.log_path.read_text()


def token_of(page):
    return re.search(r'name="csrf_token" value="([^"]+)"', page.data.decode())[1]


def form(**fields):
    return urlencode(fields)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def session(named):
    """The cookie of a browser that logged in."""
    fields = {"csrf_token": token_of(send(named, "GET", "/login")), "key": ADMIN, "next": "/docs"}
    answer = send(named, "POST", "/login", form(**fields), **FORM)
    assert (answer.status, answer.headers["Location"]) == (303, "/docs")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and ADMIN not in cookie
    return {"Cookie": cookie.partition(";")[0]}


def test_a_browser_without_a_session_is_sent_to_the_login(named):
    answer = send(named, "GET", "/dashboard", Accept="text/html")

    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=/dashboard")


def test_a_session_shows_pages(named, session):
    answer = send(named, "GET", "/dashboard", **session)

    assert answer.status == 200
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_a_session_changes_nothing_without_the_token_of_a_page(named, session):
    path = "/models/songs/rollback"
    token = token_of(send(named, "GET", "/login", **session))

    assert send(named, "POST", path, **session).status == 403
    foreign = send(named, "POST", path, **session, Origin="https://evil.example", **{"X-CSRF-Token": token})
    assert foreign.status == 403
    own = send(named, "POST", path, '{"version": "99"}', **session, **{"X-CSRF-Token": token})
    assert own.status == 404


@pytest.mark.parametrize("key", ["wrong", ""])
def test_a_wrong_key_makes_no_session(named, key):
    fields = {"csrf_token": token_of(send(named, "GET", "/login")), "key": key}

    answer = send(named, "POST", "/login", form(**fields), **FORM)

    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "path", ["https://evil.example/dashboard", "//evil.example", "/dashboard\\@evil", "/x"]
)
def test_the_login_leads_nowhere_else(named, path):
    fields = {"csrf_token": token_of(send(named, "GET", "/login")), "key": ADMIN, "next": path}

    assert send(named, "POST", "/login", form(**fields), **FORM).headers["Location"] == "/dashboard"


def test_a_forged_cookie_is_no_session(named, session):
    forged = {"Cookie": session["Cookie"][:-4] + "AAAA"}

    assert send(named, "GET", "/dashboard", **forged).status == 401


def test_only_named_origins_may_read_answers(named):
    asked = {"Access-Control-Request-Method": "POST"}
    friend = send(named, "OPTIONS", "/predict", Origin="https://shop.example", **asked)
    stranger = send(named, "OPTIONS", "/predict", Origin="https://evil.example", **asked)

    assert friend.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "X-API-Key" in friend.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in stranger.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:8000"},
    ],
)
def test_without_keys_a_page_of_another_site_changes_nothing(service, headers):
    assert send(service, "POST", "/models/songs/rollback", **headers).status == 403


@pytest.fixture(scope="module")
def limited(trained, tmp_path_factory):
    settings = {"RATE_LIMIT": "3/hour", "RATE_LIMIT_STORAGE": "mongodb", "ADMIN_API_KEYS": ADMIN}
    with Service(tmp_path_factory.mktemp("limited"), **settings, API_KEYS="one,two", **trained) as found:
        yield found.wait_until_ready()


def test_a_key_that_asks_too_often_is_told_when_to_ask_again(limited):
    answers = [
        limited.http.request(
            "POST", limited.url + "/predict", body=json.dumps(SONG), headers={"X-API-Key": "one"}
        )
        for _ in range(5)
    ]

    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3_600
    assert predict(limited, "two")[0] == 200


def test_whoever_guesses_keys_is_limited_by_address(limited):
    found = [predict(limited, f"guess {number}")[0] for number in range(5)]

    assert found == [401, 401, 401, 429, 429]
    assert [limited.get("/healthz")[0] for _ in range(5)] == [200] * 5
