"""Work for which the web process is too light: one of our commands in a process of its own.

The command prints its result as one line of JSON and may go on after that (a slow tracker, say); nobody waits
for the rest.
"""

import json
import logging
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any

from utils.errors import UnavailableError, VigiaError

log = logging.getLogger(__name__)


def result_of(*arguments: str, timeout_s: float) -> Any:
    """Run ``python -m mlops`` with ``arguments`` and return the JSON line that it prints.

    Raises
    ------
    UnavailableError
        If there is no result in time; the command is ended.
    VigiaError
        The error that ended it, as far as it is one for callers; the log has all that it said.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", "mlops", *arguments], stdout=subprocess.PIPE, stderr=errors
        )
        late = threading.Timer(timeout_s, process.kill)
        late.start()
        assert process.stdout is not None  # noqa: S101  narrows the type
        line = process.stdout.readline()
        late.cancel()
        if line:
            threading.Thread(target=process.communicate, name="reaping", daemon=True).start()
            return json.loads(line)
        process.communicate()
        raise _failure(process.returncode, errors)


def _failure(code: int, errors: IO[bytes]) -> VigiaError:
    if code < 0:
        return UnavailableError("This takes longer than a request may; try again when less is going on.", 60)
    errors.seek(0)
    said = errors.read()[-4_000:].decode(errors="replace")
    log.error("the task failed: %s", said)
    return _error_of(said) or VigiaError("The task failed; the log says why.")


def _error_of(said: str) -> VigiaError | None:
    """Return the error that a command with ``--json`` told in its last line, None for one of the inside."""
    try:
        told = json.loads(said.rstrip().rpartition("\n")[2])
        status, detail = int(told["status"]), str(told["detail"])
        if status == VigiaError.status:
            return None
        error = UnavailableError(detail) if status == UnavailableError.status else VigiaError(detail)
        error.status, error.code, error.title = status, told["code"], told["title"]
    except (ValueError, TypeError, KeyError):
        return None
    return error
