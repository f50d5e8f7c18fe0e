"""The processes of one machine: MongoDB, training, web and clock, started in order and stopped in reverse.

The children live in process groups of their own, so that Ctrl-C in a terminal reaches this process only,
which then stops them one after another: the clock, web (it answers what it has taken and empties its spool),
MongoDB last.
"""

import contextlib
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from http import HTTPStatus
from urllib.error import HTTPError

import click

from mlops.keys import KeyRing
from mlops.services import DEMO_FILLED
from model.folders import folders
from model.spec import load_all
from utils import embedded_mongo
from utils.addresses import NEAREST, check_free, netloc
from utils.mongo import connection, migrations
from utils.mongo.connection import redacted
from utils.mongo.history import HistoryStore
from utils.settings import Settings, origins
from utils.stopping import Stop, StopSignal

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 30
SETTLED_S = 30.0
RESTART_DELAY_S = 2.0
POLL_S = 0.2
PR_SET_PDEATHSIG = 1  # prctl(2)
WEB = ("gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app")
CLOCK = ("mlops", "clock")
TRAIN = ("model", "train-missing")
DEMO = ("mlops", "demo")


class Child:
    """A Python module run as a process, started again when it ends on its own."""

    def __init__(self, name: str, module: Sequence[str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", *module]
        self._process = self._start()
        self._settled_at = time.monotonic() + SETTLED_S

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  our own modules
            self._command, start_new_session=True, preexec_fn=_end_with_parent
        )

    def ended(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._process.poll()

    def is_stillborn(self) -> bool:
        """Tell whether the process gave up before it was ever at work: it would do so again."""
        return bool((self.ended() or 0) > 0 and time.monotonic() < self._settled_at)

    def revive(self) -> None:
        """Start the process again if it has ended."""
        if self.ended() is not None:
            log.error("%s ended with %s; starting it again", self.name, self._process.returncode)
            time.sleep(RESTART_DELAY_S)
            self._process = self._start()

    def stop(self) -> None:
        """Ask the process to stop and wait; kill what does not."""
        if self.ended() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            log.error("%s did not stop in %s s and is killed", self.name, STOP_TIMEOUT_S)
            self._signal_group(signal.SIGKILL)
            self._process.wait()
        # A check on demand may still be telling a tracker.
        self._signal_group(signal.SIGTERM)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _end_with_parent() -> None:
    """Let the kernel stop a child whose parent was killed; elsewhere than on Linux the child stays."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Machine:
    """Runs everything until SIGINT or SIGTERM."""

    def __init__(self, settings: Settings, *, is_demo: bool = False) -> None:
        self._settings = settings
        self._is_demo = is_demo
        self._filled = settings.state_dir / DEMO_FILLED
        self.url = f"http://{netloc(NEAREST.get(settings.host, settings.host), settings.port)}"

    def run(self) -> int:
        """Start everything, say where it is, and wait. Returns the exit code.

        Raises SettingsError if somebody else listens on the port.
        """
        check_free(self._settings.host, self._settings.port)
        stop = StopSignal()
        with ExitStack() as stack:
            self._start_mongo(stack)
            self._migrate()
            if self._is_demo:
                self._forget()
            web, clock = self._child(stack, "web", WEB), self._child(stack, "clock", CLOCK)
            return self._watch([web, clock], self._first_work(stack), stop)

    def _first_work(self, stack: ExitStack) -> Child | None:
        if self._is_demo:
            return self._child(stack, "demo", DEMO)
        return self._child(stack, "training", TRAIN) if self._lacks_champions() else None

    def _migrate(self) -> None:
        """Bring the database to the shape of this program: nobody else runs ``mlops release`` here."""
        db = connection.connect(os.environ["MONGO_URI"], self._settings.mongo_db)
        try:
            migrations.begin(db)
            migrations.migrate(db, log.info)
        finally:
            connection.close(db)

    def _forget(self) -> None:
        """Let a demo begin anew; its database is its own."""
        self._filled.unlink(missing_ok=True)
        db = connection.connect(os.environ["MONGO_URI"], self._settings.mongo_db)
        try:
            connection.drop(db)
        finally:
            connection.close(db)

    def _start_mongo(self, stack: ExitStack) -> None:
        uri, (origin, _) = self._settings.mongo_uri, origins(os.environ).get("mongo_uri", ("", ""))
        if uri is None:
            mongo = stack.enter_context(embedded_mongo.start(self._settings.state_dir, self._settings.mongod))
            uri, origin = mongo.uri, "private"
            os.environ["MONGO_URI"] = uri
        log.info("MongoDB is %s (%s)", redacted(uri), origin)

    def _child(self, stack: ExitStack, name: str, module: Sequence[str]) -> Child:
        child = Child(name, module)
        stack.callback(child.stop)
        return child

    def _lacks_champions(self) -> bool:
        """Tell whether a model has no champion; asked here, as training takes seconds to find that out."""
        db = connection.connect(os.environ["MONGO_URI"], self._settings.mongo_db)
        try:
            return bool(load_all(folders(self._settings)).keys() - HistoryStore(db).champions())
        finally:
            connection.close(db)

    def _watch(self, children: Sequence[Child], training: Child | None, stop: Stop) -> int:
        """Keep everything running until stopped; returns 1 if something could not even start, else 0."""
        is_announced = False
        while not stop.wait(POLL_S):
            for child in children:
                if child.is_stillborn():
                    log.error("%s cannot start; see above", child.name)
                    return 1
                child.revive()
            if training is not None and training.ended() is not None:
                if training.ended():
                    log.error("%s ended with %s; see above", training.name, training.ended())
                training = None
            is_filled = training is None or not self._is_demo or self._filled.exists()
            is_announced = is_announced or (is_filled and self._announce())
        return 0

    def _announce(self) -> bool:
        """Say where everything is as soon as the default model answers; return whether it does."""
        example = self._example()
        if example is None:
            return False
        header = " -H 'X-API-Key: …'" if KeyRing(self._settings).is_used else ""
        click.echo(
            f"\n  Dashboard   {self.url}/dashboard\n  API         {self.url}/docs\n\n"
            f"  curl {self.url}/predict{header} -H 'Content-Type: application/json' \\\n"
            f"    -d '{json.dumps(example, ensure_ascii=False)}'\n\n  Ctrl-C stops everything.\n"
        )
        return True

    def _example(self) -> dict[str, object] | None:
        """Return an example row of the default model once the service is ready for it, else None."""
        try:
            self._get("/readyz")
            schema = json.loads(self._get(f"/models/{self._settings.default_model}/schema"))
        except HTTPError as error:
            # Keys in files are known by their digests only.
            return {"…": "…"} if error.code == HTTPStatus.UNAUTHORIZED else None
        except (OSError, ValueError):
            return None
        example: dict[str, object] = schema["examples"][0]
        return example

    def _get(self, path: str) -> bytes:
        keys = (*self._settings.admin_api_keys, *self._settings.api_keys, "")
        request = urllib.request.Request(self.url + path, headers={"X-API-Key": keys[0]})  # noqa: S310  our own
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found
