"""How an alert reaches people: the log, e-mail, a webhook. It delivers what it is given, and decides nothing.

``mlops.alerts`` decides when to tell. ``Notifier`` delivers in the background, so that a dead mail server
delays neither a drift check nor the other channels, and shows its own failures.
"""

import json
import logging
import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Literal, Protocol, Self

import urllib3
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mlops.tracking.courier import Courier, CourierStatus, Limits
from utils.errors import SettingsError, VigiaError
from utils.metadata_addresses import is_metadata_address

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
SMTPS_PORT = 465

# About an hour: a mail server that restarts must not cost an alert.
PATIENCE = Limits(n_attempts=20)


class ChannelError(VigiaError):
    """An alert could not be delivered; the text holds no secret."""

    code = "channel"
    title = "Alert not delivered"


class SlowChannelError(ChannelError, TimeoutError):
    """The receiver did not answer in time."""

    code = "channel_timeout"


class EmailError(ChannelError):
    """The mail server could not be reached or refused the message."""

    code = "email"


class WebhookError(ChannelError):
    """The webhook could not be reached, is not allowed, or did not answer with 2xx."""

    code = "webhook"


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """What people are told, ready to send.

    ``text`` says what, how much, since when, which rows and what to do; ``details`` is the same for programs.
    """

    model: str
    version: str
    check: str
    state: Literal["opened", "reminder", "resolved"]
    subject: str
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)
    dashboard_url: str | None = None


class Channel(Protocol):
    """One way to people."""

    @property
    def name(self) -> str:
        """Shown in the status."""

    def send(self, alert: AlertMessage) -> None:
        """Deliver within the channel's time limit.

        Raises
        ------
        ChannelError
            If it was not delivered.
        """


@dataclass(frozen=True, slots=True)
class LogChannel:
    """Writes one line for each alert: a warning, or an info when it is resolved."""

    name: str = "log"

    def send(self, alert: AlertMessage) -> None:
        """Log subject and text."""
        level = logging.INFO if alert.state == "resolved" else logging.WARNING
        logger.log(level, "alert %s: %s | %s", alert.state, _one_line(alert.subject), _one_line(alert.text))


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """Sends plain-text mail over SMTP, encrypted where the server can.

    Parameters
    ----------
    host, port : str, int
        Mail server; port 465 speaks TLS from the start, all others switch by STARTTLS when it is offered.
    recipients : sequence of str
        Addresses.
    user, password : str or None
        A password is never sent over a connection that is not encrypted.
    timeout_s : float
        For each step of the dialogue.
    tls : ssl.SSLContext
        Which certificates are trusted; by default those of the system (``SSL_CERT_FILE`` adds others).
    """

    host: str
    port: int
    recipients: Sequence[str]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = TIMEOUT_S
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    name: str = "email"

    def send(self, alert: AlertMessage) -> None:
        """Send one mail to all recipients."""
        try:
            with self._connection() as server:
                self._log_in(server)
                refused = server.send_message(self._mail(alert))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            where = f"mail server {self.host}:{self.port}"
            # smtplib reports most timeouts as a lost connection, with the timeout as its context.
            if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
                raise SlowChannelError(f"{where}: no answer in time") from None
            raise EmailError(f"{where}: {_told(error)}") from None
        if refused:
            # Not an error: a second attempt would reach the others twice.
            logger.warning("mail server %s refused %d of %d recipients", self.host, len(refused), self._n)

    @property
    def _n(self) -> int:
        return len(self.recipients)

    def _connection(self) -> smtplib.SMTP:
        if self.port == SMTPS_PORT:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=self.tls)
        server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
        try:
            self._encrypt(server)
        except BaseException:
            server.close()
            raise
        return server

    def _encrypt(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        if server.has_extn("starttls"):
            server.starttls(context=self.tls)
            server.ehlo()
        elif self.password:
            raise smtplib.SMTPNotSupportedError("no STARTTLS offered; the password is not sent in the clear")

    def _log_in(self, server: smtplib.SMTP) -> None:
        if self.user and self.password:
            server.login(self.user, self.password)

    def _mail(self, alert: AlertMessage) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = _one_line(alert.subject)
        # Servers want a sender they know; a user name is one where it is an address.
        mail["From"] = self.user if self.user and "@" in self.user else self.recipients[0]
        mail["To"] = ", ".join(self.recipients)
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain="vigia.invalid")
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(_body(alert))
        return mail


class WebhookChannel:
    """Posts JSON; the member ``text`` is what Slack and its likes show.

    Redirects are not followed, and the address that was checked is the one that is connected to, so a name
    cannot point elsewhere in between. The URL is a secret: only its host is ever shown.

    Parameters
    ----------
    url : str
        ``http`` or ``https``.
    timeout_s : float
        For connecting and for the answer.
    refuse_metadata : bool, default=True
        Refuse link-local addresses and those where clouds hand out credentials.

    Raises
    ------
    SettingsError
        If the URL is not one of http or https.
    """

    name = "webhook"

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, refuse_metadata: bool = True) -> None:
        try:
            self._url = urllib3.util.parse_url(url)
        except urllib3.exceptions.LocationParseError:
            raise SettingsError("ALERT_WEBHOOK_URL: this is not a URL.") from None
        if self._url.scheme not in {"http", "https"} or not self._url.host:
            raise SettingsError("ALERT_WEBHOOK_URL: only http:// and https:// can be used.")
        self._timeout_s, self._refuse_metadata = timeout_s, refuse_metadata

    def send(self, alert: AlertMessage) -> None:
        """Post one alert; anything but an answer with 2xx is an error."""
        try:
            status = self._post(json.dumps(_payload(alert)).encode())
        except (urllib3.exceptions.TimeoutError, TimeoutError):
            raise SlowChannelError(f"webhook at {self._host}: no answer in time") from None
        except (urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise WebhookError(f"webhook at {self._host}: {type(error).__name__}") from None
        if 300 <= status < 400:
            raise WebhookError(f"webhook at {self._host}: answered {status}; redirects are not followed")
        if not 200 <= status < 300:
            raise WebhookError(f"webhook at {self._host}: answered {status}")

    @property
    def _host(self) -> str:
        return (self._url.host or "").strip("[]")

    @property
    def _port(self) -> int:
        return self._url.port or (443 if self._url.scheme == "https" else 80)

    def _post(self, body: bytes) -> int:
        *others, last = self._addresses()
        for address in others:
            with suppress(urllib3.exceptions.NewConnectionError):  # such as no route over IPv6
                return self._post_to(address, body)
        return self._post_to(last, body)

    def _post_to(self, address: str, body: bytes) -> int:
        headers = {"Content-Type": "application/json", "User-Agent": "vigia", "Host": self._url.netloc or ""}
        if self._url.auth:
            headers |= urllib3.util.make_headers(basic_auth=self._url.auth)
        with self._pool(address) as pool:
            answer = pool.request(
                "POST", self._url.request_uri, body=body, headers=headers,
                redirect=False, retries=False, preload_content=False,
            )  # fmt: skip
            answer.close()  # nothing in the answer is wanted, however long it is
        return answer.status

    def _pool(self, address: str) -> HTTPConnectionPool:
        timeout = urllib3.Timeout(connect=self._timeout_s, read=self._timeout_s)
        if self._url.scheme == "http":
            return HTTPConnectionPool(address, self._port, timeout=timeout)
        return HTTPSConnectionPool(
            address, self._port, timeout=timeout, server_hostname=self._host, assert_hostname=self._host
        )

    def _addresses(self) -> list[str]:
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if self._refuse_metadata and any(map(is_metadata_address, addresses)):
            raise WebhookError(f"webhook at {self._host}: link-local and metadata addresses are refused")
        return addresses


class ChannelSettings(Protocol):
    """The settings that channels read; ``utils.settings.Settings`` has them."""

    @property
    def alert_webhook_url(self) -> str | None: ...
    @property
    def smtp_host(self) -> str | None: ...
    @property
    def smtp_port(self) -> int: ...
    @property
    def smtp_user(self) -> str | None: ...
    @property
    def smtp_password(self) -> str | None: ...
    @property
    def alert_email_to(self) -> tuple[str, ...]: ...


class ChannelStatus(CourierStatus):
    """What a page or a metric shows of one channel."""

    channel: str


class Notifier:
    """Delivers alerts by every channel in the background, with retries, each channel for itself.

    Parameters
    ----------
    channels : sequence of Channel
        Where to.
    limits : Limits, optional
        Bounds on queue, attempts and pauses.
    secrets : sequence of str
        Removed from errors.
    """

    def __init__(
        self, channels: Sequence[Channel], limits: Limits | None = None, secrets: Sequence[str] = ()
    ) -> None:
        self._couriers = [
            Courier(channel.name, _Postman(channel), limits or PATIENCE, secrets) for channel in channels
        ]

    @classmethod
    def build(cls, settings: ChannelSettings, limits: Limits | None = None) -> Self:
        """Make the channels that are set; the log is always one.

        Raises
        ------
        SettingsError
            If the webhook's URL cannot be used, or only one of mail server and recipients is given.
        """
        channels: list[Channel] = [LogChannel()]
        if email := _email(settings):
            channels.append(email)
        if settings.alert_webhook_url:
            channels.append(WebhookChannel(settings.alert_webhook_url))
        return cls(channels, limits, [secret for secret in [settings.smtp_password] if secret])

    def notify(self, alert: AlertMessage) -> None:
        """Queue an alert for every channel; returns at once and does not raise."""
        for courier in self._couriers:
            courier.put(alert)

    def status(self) -> list[ChannelStatus]:
        """Return for each channel its state, counts and last error, without secrets."""
        return [{"channel": courier.name, **courier.status()} for courier in self._couriers]

    def close(self, timeout_s: float = 10.0) -> None:
        """Deliver what is queued, within about ``timeout_s`` for all channels."""
        for courier in self._couriers:
            courier.stop(timeout_s)
        for courier in self._couriers:
            courier.join()


class _Postman:
    """Lets a courier carry by a channel, whose own time limits bound each attempt."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def carry(self, item: AlertMessage, timeout_s: float) -> None:
        self._channel.send(item)

    def rest(self) -> None:
        """Channels hold nothing between alerts."""

    def close(self, timeout_s: float) -> None:
        """Channels hold nothing between alerts."""

    def kill(self) -> None:
        """A thread cannot be killed; it is a daemon and its sockets have time limits."""


def _email(settings: ChannelSettings) -> EmailChannel | None:
    if not settings.smtp_host and not settings.alert_email_to:
        return None
    if not settings.smtp_host:
        raise SettingsError("SMTP_HOST: needed to send alerts to ALERT_EMAIL_TO.")
    if not settings.alert_email_to:
        raise SettingsError("ALERT_EMAIL_TO: needed, since SMTP_HOST is set.")
    return EmailChannel(
        settings.smtp_host,
        settings.smtp_port,
        settings.alert_email_to,
        settings.smtp_user,
        settings.smtp_password,
    )


def _body(alert: AlertMessage) -> str:
    about = f"Model {alert.model}, version {alert.version}, check {alert.check}: {alert.state}"
    link = [f"Dashboard: {alert.dashboard_url}"] if alert.dashboard_url else []
    return "\n\n".join([alert.text, *link, about]) + "\n"


def _payload(alert: AlertMessage) -> dict[str, Any]:
    link = f"\n{alert.dashboard_url}" if alert.dashboard_url else ""
    shown = {"text": _for_slack(f"*{alert.subject}*\n{alert.text}{link}"), "message": alert.text}
    return {**shown, **_strict({k: v for k, v in asdict(alert).items() if k != "text"})}


def _for_slack(text: str) -> str:
    # A category named "<!channel>" in the logged data must not call the whole company.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _strict(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what strict JSON can hold: NaN and infinity become null, other types text."""
    found: dict[str, Any] = json.loads(json.dumps(value, default=str), parse_constant=lambda _: None)
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _told(error: Exception) -> str:
    """Name a mail error without the dialogue, which holds what the client sent."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return str(error)
    if isinstance(error, UnicodeError):
        return "an address, the user or the password has letters that this server cannot take"
    return type(error).__name__
