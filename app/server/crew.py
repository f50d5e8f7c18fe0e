"""The threads that predict. One of them polls, and answers what is quick by itself.

To hand a request to another thread costs as much as to answer it, since two threads of one interpreter wait
for each other each time. So the leader, the thread that polls, does quick jobs where it stands. Should one
take long after all, the leader is relieved: another thread polls from then on, and this one is at its job as
if it had been handed over. After Schmidt et al., "Leader/Followers", in: Pattern-Oriented Software
Architecture, vol. 2 (Wiley 2000).
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from app.server.lanes import Lane

# Jobs that take longer on average are better done beside polling: they wait, or give others the interpreter.
QUICK_S = 0.003
SMOOTHING = 1 / 16
# One that takes for ever counts as much as one that takes so long.
MAX_COUNTED_S = 4 * QUICK_S
# After slow ones, so many jobs are handed over before the next is tried in place.
N_HANDED_OVER = 1_000
# The job of the leader.
LEAD: tuple[Any, ...] = ("lead",)


class Relieved(Exception):
    """Another thread leads now: unwind to where leading began, and touch nothing of the leader's."""


class Term:
    """The time for which one thread leads. Each step is a single one of the interpreter, so needs no lock.

    Attributes
    ----------
    n_jobs : int
        How many jobs the leader has begun.
    """

    def __init__(self) -> None:
        self.n_jobs = 0
        self._at_work: list[bool] = []

    @property
    def is_at_work(self) -> bool:
        """Whether the leader is at a job and still leads."""
        return bool(self._at_work)

    def begin(self) -> None:
        """Note that the leader begins a job."""
        self.n_jobs += 1
        self._at_work.append(True)

    def end(self) -> bool:
        """End the job, or the term because of it: only the first of two who call it gets True."""
        try:
            return self._at_work.pop()
        except IndexError:
            return False


class Crew(Lane):
    """A lane one of whose threads leads.

    Parameters
    ----------
    name, n_threads, max_pending, work
        As of ``Lane``; the leader is one more thread.
    poll : callable
        What the leader does again and again. Lets pass what ``do_or_offer`` raises.
    wake : callable
        Asks whoever calls ``look`` to do so soon.
    """

    def __init__(
        self,
        name: str,
        n_threads: int,
        max_pending: int,
        work: Callable[..., None],
        poll: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(name, n_threads + 1, max_pending, work)
        self._n_followers = n_threads
        self._poll = poll
        self._wake = wake
        self._term, self._seen = Term(), (Term(), 0)
        self._is_watched = False
        self._mean_s = 0.0
        self._n_to_hand_over = 0
        self._is_over = False
        self._has_ended = threading.Event()
        self._fault: Exception | None = None
        self.n_polls = 0

    @property
    def n_pending(self) -> int:
        """Jobs that wait or are under way."""
        return super().n_pending - 1 + self._term.is_at_work  # to lead is a job, too

    def start(self) -> None:
        """Start the threads; one leads."""
        super().start()
        self._appoint()

    def do_or_offer(self, *job: Any) -> bool:
        """Do a job at once if it is likely to be quick, else ``offer`` it. Only the leader may call this.

        Raises
        ------
        Relieved
            If it was done, and took so long that another thread leads now.
        """
        if not self._does_it_here():
            return self.offer(*job)
        term, started = self._term, time.perf_counter()
        term.begin()
        if not self._is_watched:
            self._is_watched = True
            self._wake()
        self._do(job)
        is_leader = term.end()
        self._learn(time.perf_counter() - started)
        if not is_leader:
            raise Relieved
        return True

    def look(self) -> bool:
        """Relieve a leader that was at the same job at the last look; return whether to look again soon.

        One thread calls this, every few milliseconds while it returns True, else when woken.
        """
        seen, self._seen = self._seen, (self._term, self._term.n_jobs)
        if seen != self._seen:
            return True
        if self._term.is_at_work:
            if self._term.end():
                self._appoint()
            return True
        self._is_watched = False
        # Looked at after it was unset: the leader looks the other way round, so one of the two sees it.
        self._is_watched = self._term.is_at_work
        return self._is_watched

    def check(self) -> None:
        """Raise what made the leader fail, if something did."""
        if self._fault is not None:
            raise self._fault

    def resign(self) -> None:
        """Have nobody lead after this. Only the leader may call it."""
        self._is_over = True

    def wait_for_end(self, every_s: float, timeout_s: float) -> None:
        """Wait until the leader has resigned, for ``timeout_s`` at most; relieve one that is held up."""
        deadline = time.monotonic() + timeout_s
        while not self._has_ended.wait(every_s) and time.monotonic() < deadline:
            self.look()

    def _appoint(self) -> None:
        """Have some thread lead."""
        # Nobody leads now, so nobody else writes this count.
        self._n_offered += 1
        self._jobs.put(LEAD)

    def _does_it_here(self) -> bool:
        if self._n_to_hand_over:
            self._n_to_hand_over -= 1
            return False
        return self.n_pending < min(self._n_followers, self._max_pending)  # so one is there to lead on

    def _learn(self, seconds: float) -> None:
        # Who was relieved does so, too. What two threads write at once is no worse a guess.
        self._mean_s += (min(seconds, MAX_COUNTED_S) - self._mean_s) * SMOOTHING
        if self._mean_s > QUICK_S:
            self._mean_s, self._n_to_hand_over = 0.0, N_HANDED_OVER

    def _do(self, job: tuple[Any, ...]) -> None:
        if job is LEAD:
            self._lead()
        else:
            super()._do(job)

    def _lead(self) -> None:
        self._term = Term()
        try:
            while not self._is_over:
                self._poll()
                self.n_polls += 1
        except Relieved:
            return
        except Exception as error:  # noqa: BLE001  raised by `check`: without a leader the process is of no use
            self._fault = error
            self._wake()
        self._has_ended.set()
