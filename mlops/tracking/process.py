"""The parent's side of one tracker's process: starts it when first needed, asks it, cuts it off, ends it.

Tracker clients hang, block at exit and start threads. In a process of their own they can be killed, and the
process that serves predictions neither imports nor waits for them. One line of JSON asks, one line answers.
The settings travel over the socket, so that no secret shows in a command line.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlops
from mlops.tracking.port import TrackerError

logger = logging.getLogger(__name__)

START_S = 60.0
REAP_S = 2.0

# What trackers have no business to know.
_PRIVATE = frozenset(
    {"MONGO_URI", "MONGODB_URI", "MONGO_URL", "API_KEYS", "ADMIN_API_KEYS", "SIGNING_KEY", "SMTP_PASSWORD",
     "ALERT_WEBHOOK_URL"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What a child runs: ``factory`` is ``module:function``, called as ``function(options, notify)``.

    ``environment`` is the clients' own configuration; the operator's environment wins over it.
    """

    factory: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the port, ready to be written as JSON."""

    method: str
    arguments: Mapping[str, Any]


class ChildProcess:
    """Carries calls to a tracker in a child process. It fills ``mlops.tracking.courier.Carrier``.

    Parameters
    ----------
    name : str
        For logs.
    plan : Plan
        What the child runs.
    start_s : float
        Longest time for the child to start and import its client.
    """

    def __init__(self, name: str, plan: Plan, start_s: float = START_S) -> None:
        self._name, self._plan, self._start_s = name, plan, start_s
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._is_over = False

    @property
    def pid(self) -> int | None:
        """Process id of the child while there is one."""
        return self._process.pid if self._process else None

    def carry(self, item: Call, timeout_s: float) -> None:
        """Let the child make one call.

        Raises
        ------
        TrackerError
            If the client raised or the process ended.
        TimeoutError
            If there was no answer in time; the child is killed then.
        """
        wire = self._wire or self._started()
        self._ask(wire, {"call": item.method, "arguments": dict(item.arguments)}, timeout_s)

    def rest(self) -> None:
        """End the idle child; the next call starts another."""
        self._say_goodbye(self._start_s)

    def close(self, timeout_s: float) -> None:
        """Let the client hand over what it holds, then end the child."""
        self._say_goodbye(timeout_s)
        self.kill()

    def kill(self) -> None:
        """End the child now and start no other. Any thread may call this."""
        with self._lock:
            self._is_over = True
        self._discard()

    def _started(self) -> "Wire":
        with self._lock:
            if self._is_over:
                raise TrackerError("the tracker is closed")
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = self._spawn(theirs)
            self._wire = wire = Wire(ours)
        self._greet(wire)
        return wire

    def _greet(self, wire: "Wire") -> None:
        greeting = {"factory": self._plan.factory, "options": dict(self._plan.options)}
        try:
            self._ask(wire, greeting, self._start_s)
        except TrackerError:
            self._discard()
            raise

    def _spawn(self, theirs: socket.socket) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "mlops.tracking.child", str(theirs.fileno()), str(os.getpid())]
        return subprocess.Popen(  # noqa: S603  fixed command, our own module
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(self._plan.environment),
        )

    def _ask(self, wire: "Wire", message: Mapping[str, Any], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        try:
            wire.send(message, deadline)
            answer = self._answer(wire, deadline)
        except TimeoutError:
            self._discard()
            raise TimeoutError(f"no answer within {timeout_s:.1f} s") from None
        except (OSError, ValueError):
            raise TrackerError(f"the process ended ({self._discard()})") from None
        if "error" in answer:
            raise TrackerError(answer["error"])

    def _answer(self, wire: "Wire", deadline: float) -> dict[str, Any]:
        while "notice" in (answer := wire.receive(deadline)):
            self._tell(answer["notice"])
        return answer

    def _tell(self, notice: str) -> None:
        """Log what a client wants to be known, once, however often its process is started."""
        if notice not in self._told:
            self._told.add(notice)
            logger.warning("%s: %s", self._name, notice)

    def _say_goodbye(self, timeout_s: float) -> None:
        if self._wire is None:
            return
        try:
            self._ask(self._wire, {"call": "close", "arguments": {}}, timeout_s)
        except (TrackerError, TimeoutError) as error:
            logger.info("%s: did not close in order: %s", self._name, error)
        self._discard()

    def _discard(self) -> str:
        with self._lock:
            process, self._process = self._process, None
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        if process is None:
            return "closed"
        process.kill()
        try:
            return f"exit code {process.wait(REAP_S)}"
        except subprocess.TimeoutExpired:  # stuck in the kernel, such as on a dead network disk
            return "killed, not gone yet"


class Wire:
    """Lines of JSON over a socket, each with a deadline (``time.monotonic`` seconds)."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def send(self, message: Mapping[str, Any], deadline: float) -> None:
        """Write one line; ``TimeoutError`` where the other side does not read."""
        self._connection.settimeout(_left(deadline))
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, deadline: float) -> dict[str, Any]:
        """Read one line; ``TimeoutError`` where none comes, ``ConnectionError`` where none can come."""
        while b"\n" not in self._buffer:
            self._connection.settimeout(_left(deadline))
            chunk = self._connection.recv(65_536)
            if not chunk:
                raise ConnectionError("closed")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """Wake whoever reads, and let go."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other side was faster
            logger.debug("the wire was down already")
        self._connection.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _environment(configuration: Mapping[str, str]) -> dict[str, str]:
    ours = {k: v for k, v in os.environ.items() if k not in _PRIVATE}
    root = str(Path(mlops.__path__[0]).parent)
    path = os.pathsep.join(filter(None, [root, ours.get("PYTHONPATH")]))
    # Clients of other people warn at import; a parent that makes errors of warnings means its own.
    return {**configuration, **ours, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
