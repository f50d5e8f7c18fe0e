"""Who holds which key: names, scopes and expiry. Of keys in files only digests need be kept. Light.

A file of keys (``API_KEYS_FILE``) has one key a line: name, scopes, expiry and digest, as ``mlops keys new``
prints it, or plain keys separated by commas. It is read again when it changes, so keys come and go without a
restart. Knows nothing of requests.
"""

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

import msgspec

from utils.errors import SettingsError
from utils.settings import Settings
from utils.time import now

log = logging.getLogger(__name__)

Scope = Literal["predict", "label", "read", "metrics", "admin"]
SCOPES: tuple[Scope, ...] = ("predict", "label", "read", "metrics", "admin")
PLAIN: frozenset[Scope] = frozenset({"predict", "label"})
ADMIN: frozenset[Scope] = frozenset(SCOPES)
# How often a file is asked whether it changed.
LOOK_S = 1.0
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
FORM = "NAME SCOPE,SCOPE EXPIRY|never sha256:DIGEST"


class Key(msgspec.Struct, frozen=True):
    """One key, without the key itself; ``expires_at`` is None for one that does not end."""

    name: str
    scopes: frozenset[Scope]
    digest: str
    expires_at: datetime | None = None

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now()

    @property
    def line(self) -> str:
        """The key as a line of a file."""
        expiry = "never" if self.expires_at is None else self.expires_at.isoformat().replace("+00:00", "Z")
        scopes = ",".join(scope for scope in SCOPES if scope in self.scopes)
        return f"{self.name} {scopes} {expiry} {self.digest}"


def digest(key: bytes) -> str:
    """Return what is kept of a key. A fast hash will do: keys that ``new`` makes cannot be guessed.

    >>> digest(b"abc")[:20]
    'sha256:ba7816bf8f01c'
    """
    return f"sha256:{hashlib.sha256(key).hexdigest()}"


def new(name: str, scopes: Collection[Scope], expires_at: datetime | None) -> tuple[str, Key]:
    """Return a new key of 256 random bits, to be handed over once, and what is kept of it.

    Raises
    ------
    SettingsError
        If the name has other characters than a line of a file can hold.
    """
    if not NAME.fullmatch(name):
        raise SettingsError(f"{name[:80]!r} is no name of a key: letters, digits and . _ @ - only.")
    secret = f"vigia_{secrets.token_urlsafe(32)}"
    return secret, Key(name, frozenset(scopes), digest(secret.encode()), expires_at)


def instant_of(text: str) -> datetime | None:
    """Read an expiry: ``never``, a date (its beginning, UTC) or an instant. Raises ValueError."""
    if text == "never":
        return None
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def read_lines(text: str, variable: str, plain: frozenset[Scope]) -> list[Key]:
    """Return the keys of a file.

    Parameters
    ----------
    text : str
        What is in it; lines that begin with ``#`` are comments.
    variable : str
        The setting that names the file, for messages and names.
    plain : frozenset of str
        What plain keys may do.

    Raises
    ------
    SettingsError
        If a line cannot be read. Names its number, never what is in it.
    """
    found: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.lstrip().startswith("#"):
            continue
        if len(words) == 4 and "," not in words[0]:
            found.append(_named(words, f"{variable}: line {number}"))
        elif any(DIGEST.fullmatch(word) for word in words):
            raise SettingsError(f"{variable}: line {number} is not of the form {FORM}.")
        else:
            found += plain_keys([word for word in line.split(",") if word.strip()], variable, plain)
    return found


def plain_keys(given: Sequence[str], variable: str, scopes: frozenset[Scope]) -> list[Key]:
    """Return keys that are known themselves, named after the setting they come from."""
    return [
        Key(f"{variable} {number}", scopes, digest(key.strip().encode()))
        for number, key in enumerate(given, 1)
    ]


def _named(words: Sequence[str], place: str) -> Key:
    name, scopes, expiry, kept = words
    unknown = sorted(set(scopes.split(",")) - set(SCOPES))
    if unknown:
        raise SettingsError(
            f"{place} has the unknown scope {unknown[0][:40]!r}; there are {', '.join(SCOPES)}."
        )
    if not NAME.fullmatch(name) or not DIGEST.fullmatch(kept):
        raise SettingsError(f"{place} is not of the form {FORM}.")
    try:
        expires_at = instant_of(expiry)
    except ValueError:
        raise SettingsError(f"{place} has no expiry such as 2027-01-31, or never.") from None
    return Key(name, frozenset(cast(list[Scope], scopes.split(","))), kept, expires_at)


class KeyFile:
    """A file of keys, read again when it changes. One that becomes unreadable changes nothing."""

    def __init__(self, path: Path, variable: str, plain: frozenset[Scope]) -> None:
        self._path = path
        self._variable = variable
        self._plain = plain
        self._look_at = 0.0
        self._mark: tuple[int, int, int] | None = None
        self.keys = self._read()

    def refresh(self) -> None:
        """Read it again if it has changed; looks at most once a second."""
        if time.monotonic() < self._look_at:
            return
        try:
            if self._mark != self._marked():
                self.keys = self._read()
                log.info("%s has changed: %d keys from now on", self._variable, len(self.keys))
        except SettingsError as error:
            self._look_at = time.monotonic() + LOOK_S
            log.error("the keys stay as they were: %s", error.detail)

    def _marked(self) -> tuple[int, int, int]:
        self._look_at = time.monotonic() + LOOK_S
        try:
            found = self._path.stat()
        except OSError as error:
            raise SettingsError(f"{self._variable}: cannot read {self._path} ({error.strerror}).") from None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> list[Key]:
        mark = self._marked()
        try:
            found = read_lines(self._path.read_text(), self._variable, self._plain)
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"{self._variable}: cannot read {self._path}.") from None
        self._mark = mark
        return found


class KeyRing:
    """All keys that this process knows.

    Raises
    ------
    SettingsError
        If a file of keys cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._fixed = [
            *plain_keys(settings.api_keys, "API_KEYS", PLAIN),
            *plain_keys(settings.admin_api_keys, "ADMIN_API_KEYS", ADMIN),
        ]
        named = (
            (settings.api_keys_file, "API_KEYS_FILE", PLAIN),
            (settings.admin_api_keys_file, "ADMIN_API_KEYS_FILE", ADMIN),
        )
        self._files = [KeyFile(path, variable, plain) for path, variable, plain in named if path is not None]

    @property
    def is_used(self) -> bool:
        """Whether keys are asked for; a file does that even while it is empty."""
        return bool(self._fixed or self._files)

    def all(self) -> list[Key]:
        """Return the keys as they are now."""
        for file in self._files:
            file.refresh()
        return [*self._fixed, *(key for file in self._files for key in file.keys)]

    def find(self, key: bytes) -> Key | None:
        """Return which key this is, expired or not, None for none; takes as long whichever it is."""
        return self.of_digest(digest(key))

    def of_digest(self, kept: str) -> Key | None:
        """Return the key with this digest; every one is compared."""
        matching = [key for key in self.all() if hmac.compare_digest(key.digest, kept)]
        return matching[-1] if matching else None
