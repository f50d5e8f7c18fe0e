"""Who leads a crew: quick jobs are done where they are found, and a job that takes long holds up nobody."""

import threading
from queue import Empty, Queue

import pytest

from app.server import crew as crews
from app.server.crew import Crew, Relieved
from tests.running import wait_until

N_FOLLOWERS = 2
MAX_PENDING = 4


class World:
    """A crew whose leader polls a queue for jobs, and what became of them."""

    def __init__(self, n_followers=N_FOLLOWERS, max_pending=MAX_PENDING):
        self.found, self.done, self.refused = Queue(), [], []
        self.n_wakes, self.n_relieved = 0, 0
        self.started, self.gate = threading.Semaphore(0), threading.Semaphore(0)
        self.crew = Crew("crew", n_followers, max_pending, self.work, self.poll, self.wake)
        self.crew.start()

    def wake(self):
        self.n_wakes += 1

    def poll(self):
        try:
            job = self.found.get(timeout=0.01)
        except Empty:
            return
        if job == "resign":
            self.crew.resign()
        elif job == "fail":
            raise OSError("no more events")
        elif not self.take(job):
            self.refused.append(job)

    def take(self, job):
        try:
            return self.crew.do_or_offer(job)
        except Relieved:
            self.n_relieved += 1
            raise

    def work(self, job):
        if job == "broken":
            raise ValueError(job)
        if job == "long":
            self.started.release()
            assert self.gate.acquire(timeout=30)
        self.done.append((job, threading.current_thread()))

    def begin(self, job="long"):
        """Have a long job begun."""
        self.found.put(job)
        assert self.started.acquire(timeout=30)

    def do(self, job):
        """Have a job done and return the thread that did it."""
        n_done = len(self.done)
        self.found.put(job)
        wait_until(lambda: len(self.done) > n_done)
        return self.done[-1][1]

    def relieve(self):
        """Look until another leads; as often as it takes to see the same job twice."""
        polls = self.crew.n_polls
        wait_until(lambda: not self.crew._term.is_at_work or not self.crew.look())
        wait_until(lambda: self.crew.n_polls > polls)


@pytest.fixture
def world():
    made = []

    def make(**given):
        made.append(World(**given))
        return made[-1]

    yield make
    for one in made:
        one.gate.release(100)
        one.found.put("resign")
        one.crew.wait_for_end(0.01, 10)
        one.crew.stop()


def test_a_quick_job_is_done_by_who_found_it(world):
    crew = world()

    threads = {crew.do(number) for number in range(5)}

    assert len(threads) == 1 and crew.crew.n_pending == 0 and crew.n_relieved == 0


def test_a_long_job_is_finished_by_its_thread_while_another_leads(world):
    crew = world()
    first = crew.do("quick")
    crew.begin()
    crew.relieve()

    second = crew.do("quick")
    assert second is not first and crew.crew.n_pending == 1

    crew.gate.release()
    wait_until(lambda: ("long", first) in crew.done)
    assert crew.do("quick") is second and crew.n_relieved == 1
    wait_until(lambda: crew.crew.n_pending == 0)


def test_a_job_is_looked_at_twice_before_its_leader_is_relieved(world):
    crew = world()
    crew.begin()

    assert crew.crew.look() and crew.crew._term.is_at_work
    assert crew.crew.look() and not crew.crew._term.is_at_work


def test_without_a_thread_that_could_lead_jobs_wait_and_beyond_a_bound_they_are_refused(world):
    crew = world()
    for _ in range(N_FOLLOWERS):
        crew.begin()
        crew.relieve()
    for number in range(MAX_PENDING):
        crew.found.put(number)

    wait_until(lambda: len(crew.refused) == N_FOLLOWERS)
    assert crew.crew.n_pending == MAX_PENDING and crew.done == []

    crew.gate.release(N_FOLLOWERS)
    wait_until(lambda: len(crew.done) == MAX_PENDING)
    assert crew.refused == [MAX_PENDING - 2, MAX_PENDING - 1]


def test_no_more_than_may_be_pending_are_begun(world):
    crew = world(n_followers=3, max_pending=1)
    crew.begin()
    crew.relieve()

    crew.found.put("another")

    wait_until(lambda: crew.refused == ["another"])


def test_after_slow_jobs_the_next_ones_are_handed_over_and_later_tried_again(world, monkeypatch):
    monkeypatch.setattr(crews, "QUICK_S", -1.0)
    monkeypatch.setattr(crews, "N_HANDED_OVER", 3)
    crew = world()
    leader = crew.do("first")  # longer than nothing, so the next ones are handed over

    others = [crew.do(number) for number in range(3)]

    assert leader not in others
    assert crew.do("tried again") is leader


def test_who_looks_is_woken_for_the_first_job_and_again_after_it_was_quiet(world):
    crew = world()
    crew.do("quick")
    crew.do("quick")
    assert crew.n_wakes == 1

    wait_until(lambda: not crew.crew.look())
    crew.do("quick")

    assert crew.n_wakes == 2


def test_a_job_that_fails_ends_neither_leading_nor_the_count(world, caplog):
    crew = world()
    leader = crew.do("quick")

    crew.found.put("broken")

    assert crew.do("quick") is leader and crew.crew.n_pending == 0
    assert "a request ended with a fault of the server" in caplog.text


def test_a_leader_that_fails_is_told(world):
    crew = world()
    crew.crew.check()

    crew.found.put("fail")
    crew.crew.wait_for_end(0.01, 10)

    assert crew.n_wakes == 1
    with pytest.raises(OSError, match="no more events"):
        crew.crew.check()


def test_a_leader_that_is_held_up_at_the_end_is_relieved_by_one_that_resigns(world):
    crew = world()
    crew.begin()
    crew.found.put("resign")

    crew.crew.wait_for_end(0.005, 10)

    assert crew.crew._has_ended.is_set() and crew.crew.n_pending == 0


def test_jobs_are_done_once_however_often_leaders_are_relieved(world, monkeypatch):
    monkeypatch.setattr(crews, "QUICK_S", 1_000)
    crew = world(n_followers=4, max_pending=2_000)
    jobs = ["long", *range(4)] * 400
    for number, job in enumerate(jobs):
        crew.found.put(job)
        if number % 5 == 0:
            assert crew.started.acquire(timeout=30)
            crew.crew.look()
            crew.crew.look()
            crew.gate.release()

    wait_until(lambda: len(crew.done) + len(crew.refused) == len(jobs))
    assert crew.n_relieved > 0
    assert sorted(str(job) for job, _ in crew.done) == sorted(map(str, jobs))
    wait_until(lambda: crew.crew.n_pending == 0)
