"""How gunicorn runs the app: processes, threads and time limits that fit Heroku, compose and one machine.

The app is imported once, in the master, and its pages are shared by all workers. Everything with a thread or
a connection starts after fork, in ``post_worker_init``.
"""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

from app.server import memory, slots
from mlops.repeating import Repeating
from utils import logs
from utils.addresses import netloc
from utils.errors import VigiaError
from utils.settings import load

memory.keep_small()  # before the app is imported, for all workers
SHOW_S = 1.0

try:
    settings = load(os.environ)
except VigiaError as error:
    sys.exit(f"vigia: {error.detail}")
slots.make_folder()

bind = netloc(settings.host, settings.port)
workers = settings.web_concurrency
worker_class = "app.server.worker.Worker"
preload_app = True
threads = 4
# Routers give up after 30 s; both limits stay below.
timeout = 25
graceful_timeout = 20
# Longer than the idle limit of the usual balancers, so that they and not we close idle connections.
keepalive = 75
# The heartbeat file must not wait for a slow disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  a heartbeat, no data
control_socket_disable = True
# Whose word is taken for the scheme; nobody's unless told.
forwarded_allow_ips = ",".join(settings.trusted_proxies)
accesslog = None
loglevel = settings.log_level.lower()
logconfig_dict = logs.alike("gunicorn.error", settings.log_level, settings.log_format)


def pre_fork(server: Any, worker: Any) -> None:
    """Take what is imported out of the collector's sight, so that no worker writes to the shared pages."""
    worker.slot = slots.take(other.slot for other in server.WORKERS.values())
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    """Have this worker count in files of its own."""
    slots.sit(worker.slot)


def child_exit(server: Any, worker: Any) -> None:
    """Forget what a worker that has ended had under way."""
    slots.leave(worker.slot)


def post_worker_init(worker: Any) -> None:
    """Connect and start the threads of this worker; tell them first when it is asked to stop."""
    services = worker.app.callable.extensions["vigia"]
    services.start()
    repeating = Repeating("showing what is under way", worker.app.callable.meter.show_all, SHOW_S)
    repeating.start()
    stop = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: Any) -> None:
        services.drain()
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, drain)


def worker_exit(server: Any, worker: Any) -> None:
    """Ship what is left in the spool and close, after the last answer."""
    app = getattr(worker.app, "callable", None)
    if app is not None:
        app.extensions["vigia"].stop()
