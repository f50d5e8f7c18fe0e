"""The child's side: ``python -m mlops.tracking.child FD PARENT`` makes one tracker and serves its calls.

It lives no longer than its parent: it ends when the socket closes and, should a client block the main thread
or a brother hold the socket open, when its parent's process id is no longer its own.
"""

import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from mlops.tracking.port import Notify, Tracker

WATCH_S = 0.5


def main(descriptor: int, parent: int) -> None:
    """Serve until the parent says close or is gone. Never returns: clients may block a normal exit."""
    _outlive_signals()
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    with socket.socket(fileno=descriptor) as connection, connection.makefile("rw") as wire:
        _serve(wire)
    os._exit(0)


def _outlive_signals() -> None:
    # Ctrl-C and a platform's SIGTERM reach the whole group; the parent still wants to flush through us.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


def _serve(wire: IO[str]) -> None:
    tracker: Tracker | None = None
    for line in wire:
        message = json.loads(line)
        try:
            if tracker is None:
                tracker = _tracker(message, lambda text: _say(wire, {"notice": text}))
            else:
                _call(tracker, message["call"], message["arguments"])
            _say(wire, {})
        except Exception as error:  # noqa: BLE001  whatever a client raises is the parent's to count and retry
            _say(wire, {"error": f"{type(error).__name__}: {error}"})
            if tracker is None:
                return


def _tracker(message: Mapping[str, Any], notify: Notify) -> Tracker:
    module, function = message["factory"].split(":")
    tracker: Tracker = getattr(importlib.import_module(module), function)(message["options"], notify)
    return tracker


def _call(tracker: Tracker, method: str, arguments: Mapping[str, Any]) -> None:
    decoded = {name: _DECODERS.get(name, _as_is)(value) for name, value in arguments.items()}
    getattr(tracker, method)(**decoded)


def _as_is(value: Any) -> Any:
    return value


def _paths(value: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(path) for name, path in value.items()}


_DECODERS: dict[str, Callable[[Any], Any]] = {"at": datetime.fromisoformat, "files": _paths}


def _say(wire: IO[str], message: Mapping[str, Any]) -> None:
    wire.write(json.dumps(message) + "\n")
    wire.flush()


def _arguments(words: Iterable[str]) -> tuple[int, int]:
    descriptor, parent = (int(word) for word in words)
    return descriptor, parent


if __name__ == "__main__":
    main(*_arguments(sys.argv[1:]))
