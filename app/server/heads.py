"""What can be told of a request before anything of it is parsed."""

import re

_REPEATED = re.compile(rb"\r\nidempotency-key:", re.IGNORECASE)


def target(request: bytes) -> bytes:
    """Return the target of a request's first line, or nothing where there is none."""
    line = request[: request.find(b"\r\n")].split(b" ", 2)
    return line[1] if len(line) == 3 else b""


def may_be_repeated(request: bytes) -> bool:
    """Return whether a request has an ``Idempotency-Key``, so that MongoDB is asked before it is answered."""
    return _REPEATED.search(request, 0, request.find(b"\r\n\r\n")) is not None
