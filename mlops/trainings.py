"""Trainings that the web process asks for: each in a process of its own, one a model at a time. Light.

The lease of a model belongs to the job, not to a process: the web process takes it, the training renews it,
and whoever sees the end gives it back. So a killed training blocks nobody for long.
"""

import json
import logging
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from utils.errors import ConflictError, NotFoundError, UnavailableError
from utils.mongo.leases import LeaseStore
from utils.mongo.training_jobs import KILLED, TrainingJobStore

log = logging.getLogger(__name__)

Kind = Literal["retrain", "run-pipeline"]
Promote = Literal["always", "if_better", "never"]
KINDS: tuple[Kind, ...] = ("retrain", "run-pipeline")
PROMOTE: tuple[Promote, ...] = ("if_better", "always", "never")

LEASE_S = 30.0
POLL_S = 0.1
STOP_S = 5.0


class Trainings:
    """Starts trainings and tells how far they are."""

    def __init__(self, jobs: TrainingJobStore, leases: LeaseStore) -> None:
        self._jobs = jobs
        self._leases = leases
        self._running: set[subprocess.Popen[bytes]] = set()

    def start(
        self,
        model: str,
        kind: Kind,
        promote: Promote,
        by: str,
        rows: Sequence[Mapping[str, Any]] = (),
        since: datetime | None = None,
    ) -> str:
        """Start a training and return the id of its job; nothing older than ``since`` is learnt.

        Raises
        ------
        ConflictError
            If the model is being trained already.
        UnavailableError
            While MongoDB is away.
        """
        job_id = uuid.uuid4().hex
        claim(self._leases, model, job_id)
        self._jobs.create(job_id, model, kind, by)
        options = ["--kind", kind, "--promote", promote, "--by", by, "--job", job_id, "--rows", "-"]
        options += ["--since", since.isoformat()] if since else []
        command = [sys.executable, "-m", "mlops", "retrain", model, "--json", *options]
        threading.Thread(target=self._run, args=(command, rows, model, job_id), daemon=True).start()
        return job_id

    def get(self, job_id: str) -> dict[str, Any]:
        """Return a job. Raises NotFoundError."""
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError("There is no such job.")
        return job

    def wait(self, job_id: str, timeout_s: float) -> dict[str, Any]:
        """Return a job as soon as it has ended, or as it is after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while (job := self.get(job_id))["ended_at"] is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return job

    def stop(self) -> None:
        """End trainings under way; their jobs are marked as failed."""
        for process in list(self._running):
            process.terminate()
        deadline = time.monotonic() + STOP_S
        while self._running and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def _run(
        self, command: Sequence[str], rows: Sequence[Mapping[str, Any]], model: str, job_id: str
    ) -> None:
        # A file takes any number of rows at once; a pipe would block until the other side reads.
        with tempfile.TemporaryFile() as given:
            given.write(json.dumps(list(rows)).encode())
            given.seek(0)
            process = subprocess.Popen(  # noqa: S603  our own module, and a name that is a model's
                command, stdin=given, stdout=subprocess.DEVNULL
            )
        self._running.add(process)
        try:
            code = process.wait()
            log.info("training %s of %s ended with %s", job_id, model, code)
            self._jobs.fail(job_id, KILLED)  # unless it has said itself how it ended
            self._leases.release(lease_of(model), job_id)
        except UnavailableError as error:
            log.warning("the end of training %s is not noted: %s", job_id, error.detail)
        finally:
            self._running.discard(process)


def retrain_in_process(model: str, *, since: datetime | None = None, because: str = "") -> str:
    """Retrain a model on its data and labelled predictions in a process of its own; say what came of it.

    Parameters
    ----------
    since : datetime, optional
        Nothing older is to be learnt.
    because : str
        What started it, for the history.
    """
    command = [sys.executable, "-m", "mlops", "retrain", model, "--json", "--by", "clock"]
    command += ["--since", since.isoformat()] if since else []
    command += ["--because", because] if because else []
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  our own module
    if done.returncode not in (0, 2):
        log.error("retraining of %s failed: %s", model, done.stderr.decode(errors="replace")[-2_000:])
        return "failed"
    outcome = json.loads(done.stdout)
    return f"{outcome['version']} {'promoted' if outcome['is_promoted'] else 'not promoted'}"


def lease_of(model: str) -> str:
    """Return the name of the lease under which a model is trained."""
    return f"training/{model}"


def claim(leases: LeaseStore, model: str, job_id: str) -> None:
    """Take the lease of a model for a job, or renew it. Raises ConflictError if another job has it."""
    if not leases.acquire(lease_of(model), job_id, LEASE_S):
        raise ConflictError(f"{model} is being trained already; ask again when that has ended.")
