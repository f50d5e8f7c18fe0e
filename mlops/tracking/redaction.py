"""Makes the text of foreign errors fit to be shown: no secrets, one line, not long. Logs nothing itself."""

import re
from collections.abc import Iterable

MAX_LENGTH = 300

# The password part of a URL; clients like to quote the address they could not reach.
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+@")


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` on one line, cut to 300 characters, without ``secrets`` and without passwords in URLs.

    >>> redacted("cannot reach http://me:pass@host/x\\nwith token abc", ["abc"])
    'cannot reach http://***@host/x with token ***'
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    line = " ".join(_USER_INFO.sub("***@", text).split())
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"
