"""The courier alone: order, bounds, retries, counts. Its carriers are the port filled in a few lines."""

import threading
import time
from collections.abc import Iterator

import pytest

from mlops.tracking.courier import Courier, Limits

QUICK = Limits(n_queued=5, call_s=0.2, n_attempts=3, backoff_s=0.001, backoff_cap_s=0.01, idle_s=0.02)


class Recorder:
    """Carries into a list; fails as often as told; can be held up."""

    def __init__(self, n_failures: int = 0, error: Exception | None = None) -> None:
        self.carried: list[str] = []
        self.n_failures, self.error = n_failures, error or RuntimeError("no")
        self.gate = threading.Event()
        self.gate.set()
        self.under_way = threading.Event()
        self.rested = threading.Event()
        self.killed = threading.Event()

    def carry(self, item: str, timeout_s: float) -> None:
        self.under_way.set()
        self.gate.wait(20)
        if self.n_failures:
            self.n_failures -= 1
            raise self.error
        self.carried.append(item)

    def rest(self) -> None:
        self.rested.set()

    def close(self, timeout_s: float) -> None:
        self.rested.set()

    def kill(self) -> None:
        self.killed.set()
        self.gate.set()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def courier(recorder: Recorder) -> Iterator[Courier[str]]:
    courier = Courier("test", recorder, QUICK, secrets=["s3cret"])
    yield courier
    courier.stop(0.1)
    courier.join()


def test_items_arrive_in_order_and_are_counted(courier: Courier[str], recorder: Recorder):
    for item in "abc":
        courier.put(item)

    assert courier.flush(5)
    assert recorder.carried == ["a", "b", "c"]
    assert courier.status()["sent"] == 3


def test_what_exceeds_the_bound_is_dropped_and_counted(courier: Courier[str], recorder: Recorder):
    recorder.gate.clear()
    for item in "abcdefgh":
        courier.put(item)
    recorder.gate.set()

    assert courier.flush(5)
    assert recorder.carried == list("abcde")
    assert courier.status()["dropped"] == 3


def test_putting_takes_under_a_millisecond_while_the_receiver_hangs(
    courier: Courier[str], recorder: Recorder
):
    recorder.gate.clear()
    courier.put("first")
    recorder.under_way.wait(5)
    started = time.perf_counter()
    for _ in range(1_000):
        courier.put("next")

    assert (time.perf_counter() - started) / 1_000 < 0.001


def test_a_failed_item_is_tried_again(courier: Courier[str], recorder: Recorder):
    recorder.n_failures = 2
    courier.put("a")

    assert courier.flush(5)
    status = courier.status()
    assert recorder.carried == ["a"]
    assert (status["sent"], status["retries"], status["failed"]) == (1, 2, 0)


def test_an_item_is_given_up_after_its_attempts_and_the_next_one_goes_on(
    courier: Courier[str], recorder: Recorder
):
    recorder.n_failures = QUICK.n_attempts
    courier.put("bad")
    courier.put("good")

    assert courier.flush(5)
    status = courier.status()
    assert recorder.carried == ["good"]
    assert (status["sent"], status["failed"], status["state"]) == (1, 1, "idle")


def test_the_state_says_that_it_is_retrying(courier: Courier[str], recorder: Recorder):
    recorder.n_failures, recorder.error = 10**9, TimeoutError("too slow")
    courier.put("a")
    courier.put("b")
    while courier.status()["timeouts"] == 0:
        time.sleep(0.001)

    assert courier.status()["state"] == "retrying"


def test_errors_are_shown_without_secrets(courier: Courier[str], recorder: Recorder, caplog):
    recorder.n_failures = 1
    recorder.error = RuntimeError("token s3cret refused by http://me:word@host/")
    courier.put("a")
    courier.flush(5)

    assert courier.status()["last_error"] == "token *** refused by http://***@host/"
    assert "s3cret" not in caplog.text
    assert "word" not in caplog.text


def test_an_idle_carrier_may_rest(courier: Courier[str], recorder: Recorder):
    courier.put("a")

    assert recorder.rested.wait(5)


def test_closing_delivers_what_is_queued(courier: Courier[str], recorder: Recorder):
    for item in "abc":
        courier.put(item)
    courier.stop(5)
    courier.join()

    assert recorder.carried == ["a", "b", "c"]
    assert courier.status()["state"] == "closed"


def test_closing_is_bounded_and_counts_what_was_not_delivered(courier: Courier[str], recorder: Recorder):
    recorder.gate.clear()
    for item in "abc":
        courier.put(item)
    recorder.n_failures = 10**9
    started = time.monotonic()
    courier.stop(0.2)
    courier.join()

    status = courier.status()
    assert time.monotonic() - started < 1.0
    assert recorder.killed.is_set()
    assert (status["sent"], status["dropped"], status["queued"]) == (0, 3, 0)


def test_after_closing_items_are_dropped(courier: Courier[str], recorder: Recorder):
    courier.stop(1)
    courier.join()
    courier.put("late")

    assert courier.status()["dropped"] == 1
    assert recorder.carried == []


def test_every_item_is_sent_or_failed_or_dropped(courier: Courier[str], recorder: Recorder):
    recorder.n_failures = 7
    for n in range(50):
        courier.put(str(n))
        time.sleep(0.0005 if n % 10 == 0 else 0)
    courier.stop(5)
    courier.join()

    status = courier.status()
    assert status["sent"] + status["failed"] + status["dropped"] == 50
    assert status["sent"] == len(recorder.carried)
