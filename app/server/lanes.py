"""Lanes: threads with a queue in front of them, each lane for one kind of request."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

log = logging.getLogger(__name__)


class Lane:
    """Some threads that do ``work`` for one job after another.

    One thread offers jobs; any number does them.

    Parameters
    ----------
    name : str
        Names the threads.
    n_threads : int
        How many jobs are done at once.
    max_pending : int
        How many jobs may be waiting or under way; more are refused.
    work : callable
        Gets the arguments of ``offer``.
    """

    def __init__(self, name: str, n_threads: int, max_pending: int, work: Callable[..., None]) -> None:
        self._work = work
        self._max_pending = max_pending
        self._jobs: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._n_offered = 0
        # One count a thread, so that no two threads write the same one.
        self._n_done = [0] * n_threads
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"{name}-{number}", daemon=True)
            for number in range(n_threads)
        ]

    @property
    def n_pending(self) -> int:
        """Jobs that wait or are under way."""
        return self._n_offered - sum(self._n_done)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def offer(self, *job: Any) -> bool:
        """Have a job done, or return False at once if too many are pending."""
        if self.n_pending >= self._max_pending:
            return False
        self._n_offered += 1
        self._jobs.put(job)
        return True

    def stop(self) -> None:
        """End the threads after the jobs that were taken; does not wait for them."""
        for _ in self._threads:
            self._jobs.put(None)

    def _run(self, number: int) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._do(job)
            finally:
                self._n_done[number] += 1
                del job

    def _do(self, job: tuple[Any, ...]) -> None:
        try:
            self._work(*job)
        except Exception:  # the thread must go on, or the lane would be one thread short for ever
            log.exception("a request ended with a fault of the server")
