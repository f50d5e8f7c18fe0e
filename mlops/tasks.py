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
        If it ended without one; what it said is in the log.
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
    log.error("the task failed: %s", errors.read()[-4_000:].decode(errors="replace"))
    return VigiaError("The task failed; the log says why.")
