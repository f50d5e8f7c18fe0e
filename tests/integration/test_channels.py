"""Alerts on a real mail server and a real webhook receiver, and on ones that are dead, slow or unwilling."""

import base64
import json
import logging
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mlops.channels import (
    AlertMessage,
    ChannelError,
    EmailChannel,
    EmailError,
    LogChannel,
    Notifier,
    SlowChannelError,
    WebhookChannel,
    WebhookError,
)
from mlops.tracking import Limits
from utils.errors import SettingsError
from utils.settings import Settings

ALERT = AlertMessage(
    model="songs",
    version="3",
    check="data_drift",
    state="opened",
    subject="songs: data drift in tempo",
    text="tempo is 14 bpm higher at the median since 12:00 UTC (1,000 rows).\nCompare año by año.",
    details={"features": [{"feature": "tempo", "statistic": 0.21, "p_value": float("nan")}]},
    dashboard_url="http://127.0.0.1:8000/dashboard",
)
PASSWORD = "word-s3cret"


class Mailbox:
    """Keeps what a mail server got, and how."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.encrypted: list[bool] = []
        self.arrived = threading.Event()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        self.arrived.set()
        return "250 OK"

    def mail(self) -> EmailMessage:
        [envelope] = self.envelopes
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        return mail


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def plain_server(mailbox: Mailbox) -> Iterator[int]:
    """Port of a mail server that knows no TLS."""
    yield from serve_mail(Controller(mailbox, hostname="127.0.0.1", port=free_port()))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-made certificate for 127.0.0.1, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    place = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", path.with_suffix(".crt")]
    subprocess.run(["openssl", *words.split(), *place], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture
def tls_server(mailbox: Mailbox, certificate: Path) -> Iterator[int]:
    """Port of a mail server that wants STARTTLS and then a password."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    yield from serve_mail(
        Controller(
            mailbox,
            hostname="127.0.0.1",
            port=free_port(),
            tls_context=context,
            require_starttls=True,
            authenticator=check_password,
            auth_required=True,
        )
    )


def check_password(*arguments: Any) -> AuthResult:
    given = arguments[-1]
    is_right = isinstance(given, LoginPassword) and given.password.decode() == PASSWORD
    return AuthResult(success=is_right, handled=False)


def serve_mail(controller: Controller) -> Iterator[int]:
    controller.start()
    yield controller.port
    controller.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate.with_suffix(".crt"))


def test_a_mail_says_what_to_whom_in_plain_text(plain_server: int, mailbox: Mailbox):
    EmailChannel("127.0.0.1", plain_server, ("ana@example.org", "luis@example.org")).send(ALERT)

    mail = mailbox.mail()
    assert mail["Subject"] == "songs: data drift in tempo"
    assert mailbox.envelopes[0].rcpt_tos == ["ana@example.org", "luis@example.org"]
    text = mail.get_content().replace("\r\n", "\n")
    assert text.startswith(ALERT.text)
    assert "http://127.0.0.1:8000/dashboard" in text


def test_a_mail_goes_encrypted_and_with_the_password_where_the_server_offers_starttls(
    tls_server: int, mailbox: Mailbox, trusting: ssl.SSLContext
):
    to = ("ana@example.org",)
    EmailChannel("127.0.0.1", tls_server, to, "vigia@example.org", PASSWORD, tls=trusting).send(ALERT)

    assert mailbox.encrypted == [True]
    assert mailbox.mail()["From"] == "vigia@example.org"


def test_a_wrong_password_is_an_error_that_does_not_show_it(tls_server: int, trusting: ssl.SSLContext):
    channel = EmailChannel("127.0.0.1", tls_server, ("a@b.org",), "vigia", "wrong-s3cret", tls=trusting)

    with pytest.raises(EmailError, match=r"SMTPAuthenticationError \(535\)") as caught:
        channel.send(ALERT)
    assert "s3cret" not in str(caught.value) + repr(channel)


def test_a_password_that_smtp_cannot_carry_is_said_and_not_shown(tls_server: int, trusting: ssl.SSLContext):
    channel = EmailChannel("127.0.0.1", tls_server, ("a@b.org",), "vigia", "contraseña", tls=trusting)

    with pytest.raises(EmailError, match="letters that this server cannot take"):
        channel.send(ALERT)


def test_a_certificate_that_is_not_trusted_stops_the_mail(tls_server: int, mailbox: Mailbox):
    with pytest.raises(EmailError, match="SSLCertVerificationError"):
        EmailChannel("127.0.0.1", tls_server, ("a@b.org",), "vigia", PASSWORD).send(ALERT)

    assert mailbox.envelopes == []


def test_a_password_is_not_sent_in_the_clear(plain_server: int, mailbox: Mailbox):
    with pytest.raises(EmailError, match="not sent in the clear"):
        EmailChannel("127.0.0.1", plain_server, ("a@b.org",), "vigia", PASSWORD).send(ALERT)

    assert mailbox.envelopes == []


def test_a_line_break_in_a_subject_adds_no_header(plain_server: int, mailbox: Mailbox):
    alert = replace(ALERT, subject="songs\r\nBcc: eve@example.org")
    EmailChannel("127.0.0.1", plain_server, ("a@b.org",)).send(alert)

    assert mailbox.mail()["Bcc"] is None
    assert mailbox.mail()["Subject"] == "songs Bcc: eve@example.org"


def test_a_mail_server_that_says_nothing_is_a_timeout(silent_port: int):
    with pytest.raises(SlowChannelError):
        EmailChannel("127.0.0.1", silent_port, ("a@b.org",), timeout_s=0.2).send(ALERT)


def test_a_mail_server_that_is_not_there_is_an_error():
    with pytest.raises(EmailError, match="ConnectionRefusedError"):
        EmailChannel("127.0.0.1", free_port(), ("a@b.org",)).send(ALERT)


class Receiver(ThreadingHTTPServer):
    """A webhook receiver that keeps what it gets and answers as told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.got: list[tuple[str, Message, Any]] = []
        self.arrived = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/s3cret?key=s3cret"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers, json.loads(body, parse_constant=refuse)))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.arrived.set()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Port of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_webhook_gets_strict_json_with_a_text_for_slack(receiver: Receiver):
    WebhookChannel(receiver.url).send(ALERT)

    [(path, headers, body)] = receiver.got
    assert path == "/hooks/s3cret?key=s3cret"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{receiver.server_port}"
    assert body["text"].startswith("*songs: data drift in tempo*\ntempo is 14 bpm higher")
    assert (body["model"], body["version"], body["check"], body["state"]) == (
        "songs", "3", "data_drift", "opened",
    )  # fmt: skip
    assert body["details"]["features"][0] == {"feature": "tempo", "statistic": 0.21, "p_value": None}


def test_values_from_the_data_cannot_call_everybody_in_slack(receiver: Receiver):
    WebhookChannel(receiver.url).send(replace(ALERT, text="unseen category <!channel> & co"))

    [(_, _, body)] = receiver.got
    assert body["text"].split("\n")[1] == "unseen category &lt;!channel&gt; &amp; co"
    assert body["message"] == "unseen category <!channel> & co"


def test_a_name_and_password_in_the_url_become_a_header(receiver: Receiver):
    WebhookChannel(receiver.url.replace("http://", "http://me:word@")).send(ALERT)

    [(_, headers, _)] = receiver.got
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:word").decode()


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_other_than_2xx_is_an_error_without_the_url(receiver: Receiver, status: int):
    receiver.statuses = [status]

    with pytest.raises(WebhookError, match=f"webhook at 127.0.0.1: answered {status}") as caught:
        WebhookChannel(receiver.url).send(ALERT)
    assert "s3cret" not in str(caught.value)
    assert len(receiver.got) == 1  # a redirect is not followed


def test_a_webhook_that_says_nothing_is_a_timeout(silent_port: int):
    with pytest.raises(SlowChannelError, match="no answer in time"):
        WebhookChannel(f"http://127.0.0.1:{silent_port}/s3cret", timeout_s=0.2).send(ALERT)


def test_a_name_that_also_has_an_address_nobody_listens_on_still_gets_through(
    receiver: Receiver, monkeypatch
):
    real = socket.getaddrinfo

    def both(host: str, *rest: Any, **options: Any) -> list[Any]:
        return [*real("127.0.0.2", *rest, **options), *real("127.0.0.1", *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    WebhookChannel(f"http://hook.test:{receiver.server_port}/").send(ALERT)

    assert receiver.got[0][1]["Host"] == f"hook.test:{receiver.server_port}"


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]"]
)
def test_addresses_where_clouds_hand_out_credentials_are_refused(host: str):
    with pytest.raises(WebhookError, match="metadata addresses are refused"):
        WebhookChannel(f"http://{host}/latest/").send(ALERT)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "gopher://h", "not a url", "http://"])
def test_other_kinds_of_urls_stop_the_start_and_name_the_variable(url: str):
    with pytest.raises(SettingsError, match="ALERT_WEBHOOK_URL"):
        WebhookChannel(url)


@pytest.fixture
def https_receiver(receiver: Receiver, certificate: Path) -> Receiver:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    return receiver


def test_an_https_webhook_with_a_certificate_nobody_trusts_gets_nothing(https_receiver: Receiver):
    with pytest.raises(WebhookError, match="SSLError"):
        WebhookChannel(https_receiver.url.replace("http:", "https:")).send(ALERT)

    assert https_receiver.got == []


def test_an_https_webhook_with_a_trusted_certificate_gets_the_alert(
    https_receiver: Receiver, certificate: Path, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    WebhookChannel(https_receiver.url.replace("http:", "https:")).send(ALERT)

    assert len(https_receiver.got) == 1


def test_an_https_webhook_whose_certificate_is_for_another_name_gets_nothing(
    https_receiver: Receiver, certificate: Path, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    with pytest.raises(WebhookError, match="SSLError"):
        WebhookChannel(https_receiver.url.replace("http://127.0.0.1", "https://localhost")).send(ALERT)

    assert https_receiver.got == []


def test_the_log_gets_one_line(caplog):
    with caplog.at_level(logging.INFO):
        LogChannel().send(ALERT)
        LogChannel().send(replace(ALERT, state="resolved"))

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "\n" not in caplog.records[0].getMessage()
    assert "14 bpm higher" in caplog.records[0].getMessage()


def test_the_settings_choose_the_channels(plain_server: int, receiver: Receiver, mailbox: Mailbox):
    notifier = Notifier.build(
        Settings(
            smtp_host="127.0.0.1",
            smtp_port=plain_server,
            alert_email_to=("ana@example.org",),
            alert_webhook_url=receiver.url,
        )
    )
    notifier.notify(ALERT)
    notifier.close(10)

    assert {status["channel"]: status["sent"] for status in notifier.status()} == {
        "log": 1, "email": 1, "webhook": 1,
    }  # fmt: skip
    assert (len(mailbox.envelopes), len(receiver.got)) == (1, 1)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [(Settings(alert_email_to=("a@b.org",)), "SMTP_HOST"), (Settings(smtp_host="mail"), "ALERT_EMAIL_TO")],
)
def test_half_a_mail_setting_stops_the_start(settings: Settings, variable: str):
    with pytest.raises(SettingsError, match=f"{variable}: needed"):
        Notifier.build(settings)


def test_a_dead_mail_server_delays_nothing_and_shows(silent_port: int, receiver: Receiver):
    mail = EmailChannel("127.0.0.1", silent_port, ("a@b.org",), timeout_s=0.2)
    notifier = Notifier([mail, WebhookChannel(receiver.url)], Limits(n_attempts=2, backoff_s=0.01))
    started = time.perf_counter()
    notifier.notify(ALERT)
    elapsed = time.perf_counter() - started
    assert receiver.arrived.wait(5)
    notifier.close(5)

    email, webhook = notifier.status()
    assert elapsed < 0.05
    assert (email["sent"], email["failed"], email["timeouts"]) == (0, 1, 2)
    assert "no answer in time" in (email["last_error"] or "")
    assert (webhook["sent"], webhook["failed"]) == (1, 0)


def test_closing_does_not_wait_for_a_dead_mail_server(silent_port: int):
    notifier = Notifier([EmailChannel("127.0.0.1", silent_port, ("a@b.org",), timeout_s=5)])
    notifier.notify(ALERT)
    started = time.monotonic()
    notifier.close(0.2)

    assert time.monotonic() - started < 2


def test_a_webhook_that_fails_once_gets_the_alert_again(receiver: Receiver):
    receiver.statuses = [500]
    notifier = Notifier([WebhookChannel(receiver.url)], Limits(backoff_s=0.01))
    notifier.notify(ALERT)
    notifier.close(10)

    assert len(receiver.got) == 2
    assert notifier.status()[0]["sent"] == 1


def test_errors_of_channels_are_of_one_kind():
    assert issubclass(EmailError, ChannelError)
    assert issubclass(WebhookError, ChannelError)
    assert issubclass(SlowChannelError, TimeoutError)


def test_details_may_hold_any_value(receiver: Receiver):
    at = datetime(2026, 11, 20, tzinfo=UTC)
    WebhookChannel(receiver.url).send(replace(ALERT, details={"since": at, "worst": float("inf")}))

    assert receiver.got[0][2]["details"] == {"since": "2026-11-20 00:00:00+00:00", "worst": None}
