"""A training under its job: holds the model's lease, tells how far it is, and notes how it ended."""

import logging
import os
import threading
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from mlops.trainings import LEASE_S, claim, lease_of
from utils.errors import InvalidRowsError, UnavailableError, VigiaError
from utils.mongo.leases import LeaseStore
from utils.mongo.training_jobs import TrainingJobStore

log = logging.getLogger(__name__)

BEAT_S = 2.0
BUG = {
    "status": 500,
    "code": "error",
    "title": "Internal error",
    "detail": "The training failed; its log says why. The champion is untouched.",
}


class TrainingRun:
    """Context of one training.

    Parameters
    ----------
    job_id : str or None
        The job that another process made and waits for; if that process ends, so does this one. Without
        one, a job is made.
    """

    def __init__(
        self, jobs: TrainingJobStore, leases: LeaseStore, model: str, kind: str, by: str, job_id: str | None
    ) -> None:
        self._jobs = jobs
        self._leases = leases
        self._model = model
        self._job_id = job_id or uuid.uuid4().hex
        self._parent = os.getppid() if job_id else None
        self._head = (model, kind, by)
        self._ended = threading.Event()
        self._progress: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        """Take the lease. Raises ConflictError if the model is being trained already."""
        claim(self._leases, self._model, self._job_id)
        self._jobs.create(self._job_id, *self._head)
        self._jobs.beat(self._job_id)
        threading.Thread(target=self._beat, name="heartbeat of the training", daemon=True).start()
        return self

    def step(self, what: str, n_done: int, n_steps: int) -> None:
        """Note how far the training is; stored with the next heartbeat."""
        self._progress = {"step": what, "n_done": n_done, "n_steps": n_steps}

    def finish(self, result: dict[str, Any]) -> None:
        """Note what came out."""
        self._jobs.finish(self._job_id, result)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Note a failure and give the lease back."""
        self._ended.set()
        if error is not None:
            self._jobs.fail(self._job_id, problem_of(error))
        self._leases.release(lease_of(self._model), self._job_id)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            if self._parent is not None and os.getppid() != self._parent:
                log.error("the process that asked for this training has ended, and so does the training")
                os._exit(1)
            try:
                self._jobs.beat(self._job_id, self._progress)
                self._leases.renew(lease_of(self._model), self._job_id, LEASE_S)
            except UnavailableError as error:
                log.warning("no heartbeat: %s", error.detail)


def problem_of(error: BaseException) -> dict[str, Any]:
    """Return what those who wait are told: an error of ours in its words, any other without."""
    if not isinstance(error, VigiaError):
        return BUG
    found: dict[str, Any] = {"status": error.status, "code": error.code, "title": error.title}
    found["detail"] = error.detail
    if isinstance(error, InvalidRowsError):
        names = ("pointer", "code", "detail")
        found["errors"] = [{name: getattr(fault, name) for name in names} for fault in error.faults]
    return found


def both(*steps: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    """Return a step that tells all of them."""

    def step(what: str, n_done: int, n_steps: int) -> None:
        for one in steps:
            one(what, n_done, n_steps)

    return step
