"""An alert's life from check to person: opened once, reminded daily, resolved once, on real receivers."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller

from mlops.alerts import Alarms, Confirmation, Finding
from mlops.channels import EmailChannel, Notifier, WebhookChannel
from mlops.tracking import Limits
from tests.running import free_port, wait_until
from utils.mongo import indexes
from utils.mongo.alerts import AlertStore

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Mailbox:
    """A mail server's memory."""

    def __init__(self):
        self.subjects = []

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.subjects.append(mail["Subject"])
        return "250 OK"


class Hook(BaseHTTPRequestHandler):
    """Keeps the alerts that a webhook got."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.states.append(body["state"])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        """Keep the test's output clean."""


@pytest.fixture
def mailbox():
    box = Mailbox()
    box.port = free_port()
    server = Controller(box, hostname="127.0.0.1", port=box.port)
    server.start()
    yield box
    server.stop()


@pytest.fixture
def hook():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.states = []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def store(db):
    indexes.ensure(db, None)
    return AlertStore(db)


def finding(is_wrong):
    return Finding("drift/tempo", "drift", "Drift of tempo", "tempo rose", (), is_wrong, {"feature": "tempo"})


def notifier(mail_port, hook):
    mail = EmailChannel("127.0.0.1", mail_port, ["me@example.com"])
    return Notifier([mail, WebhookChannel(f"http://127.0.0.1:{hook.server_port}/")])


def checks(store, told, states, start):
    """Check every hour from ``start`` on; each of ``states`` says whether something is wrong then."""
    alarms = Alarms(store, told)
    for hour, is_wrong in enumerate(states):
        alarms.tell("songs", "3", [finding(is_wrong)], START + (start + hour) * HOUR)
    told.close()


def test_drift_over_48_hourly_checks_is_one_mail_opened_two_reminders_and_one_resolved(store, mailbox, hook):
    checks(store, notifier(mailbox.port, hook), [True] * 20, 0)
    checks(store, notifier(mailbox.port, hook), [True] * 28, 20)  # the clock was started anew in between
    checks(store, notifier(mailbox.port, hook), [False] * 5, 48)

    expected = ["opened", "reminder", "reminder", "resolved"]
    assert hook.states == expected
    assert mailbox.subjects == [f"Drift of tempo in songs: {state}" for state in expected]


@pytest.mark.parametrize(
    ("states", "is_open"), [([True, False, True], True), ([True, False, False, True], False)]
)
def test_an_alert_may_wait_until_two_of_three_checks_agree(store, states, is_open):
    alarms = Alarms(store, Notifier([]))

    for hour, is_wrong in enumerate(states):
        alarms.tell("songs", "3", [finding(is_wrong)], START + hour * HOUR, Confirmation(2, 3))

    assert store.is_open("songs", "drift/tempo") == is_open


def test_what_comes_and_goes_is_one_alert(store, mailbox, hook):
    checks(store, notifier(mailbox.port, hook), [True, False, False, None] * 5 + [False] * 3, 0)

    assert hook.states == ["opened", "resolved"]


@pytest.mark.parametrize("act", ["acknowledge", "silence"])
def test_an_alert_that_somebody_looks_after_is_not_reminded_of(store, mailbox, hook, act):
    checks(store, notifier(mailbox.port, hook), [True], 0)
    (alert,) = store.list("songs")
    if act == "acknowledge":
        store.acknowledge(alert["id"], "ana", START)
    else:
        store.silence(alert["id"], START + 72 * HOUR, "ana")

    checks(store, notifier(mailbox.port, hook), [True] * 47, 1)

    assert hook.states == ["opened"]


def test_a_dead_mail_server_delays_neither_the_check_nor_the_webhook(store, hook):
    dead = EmailChannel("127.0.0.1", free_port(), ["me@example.com"], timeout_s=1)
    told = Notifier([dead, WebhookChannel(f"http://127.0.0.1:{hook.server_port}/")], Limits(n_attempts=50))
    alarms = Alarms(store, told)

    start = time.monotonic()
    alarms.tell("songs", "3", [finding(True)], START)
    took = time.monotonic() - start

    wait_until(lambda: hook.states == ["opened"])
    failing = {one["channel"]: one for one in told.status()}["email"]
    told.close(0.1)
    assert took < 1
    assert failing["last_error"] is None or "127.0.0.1" in failing["last_error"]
