"""Which predictions the thread that polls may answer by itself."""

from types import SimpleNamespace

import pytest

from app.server.worker import ANSWERING_S, SMALL_BYTES, Worker
from utils.settings import Settings

HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\n"
MAX_PENDING = 64


def worker(*, may_wait=False, **poller):
    """A worker that serves nothing, with a poller that says so much."""
    made = Worker.__new__(Worker)
    made._may_wait, made._max_pending = may_wait, MAX_PENDING
    made._poller = SimpleNamespace(**{"turn_s": 0.0, "is_yielding": False, "n_ready": MAX_PENDING} | poller)
    return made


@pytest.mark.parametrize(
    ("request_", "may_wait", "is_quick"),
    [
        (HEAD + b"\r\n{}", False, True),
        (HEAD + b"\r\n{}", True, False),
        (HEAD + b"Idempotency-Key: 1\r\n\r\n{}", False, False),
        ((HEAD + b"\r\n").ljust(SMALL_BYTES), False, True),
        ((HEAD + b"\r\n").ljust(SMALL_BYTES + 1), False, False),
    ],
    ids=["small", "waits for disk or MongoDB", "a key", "as large as may be", "large"],
)
def test_small_requests_that_wait_for_nothing_are_quick(request_, may_wait, is_quick):
    assert worker(may_wait=may_wait)._is_quick(request_) == is_quick


def test_the_poller_has_time_where_it_holds_up_nobody():
    assert worker()._has_time()


@pytest.mark.parametrize(
    "poller", [{"turn_s": ANSWERING_S}, {"is_yielding": True}, {"n_ready": MAX_PENDING + 1}], ids=str
)
def test_it_has_none_after_a_while_or_where_others_wait_or_are_to_be_refused(poller):
    assert not worker(**poller)._has_time()


@pytest.mark.parametrize(
    ("settings", "may_wait"),
    [
        (Settings(), False),
        (Settings(rate_limit="9/second"), False),
        (Settings(spool_fsync=True), True),
        (Settings(rate_limit="9/second", rate_limit_storage="mongodb"), True),
    ],
    ids=["plain", "limits in memory", "fsync", "limits in MongoDB"],
)
def test_predictions_may_wait_for_the_disk_and_for_limits_that_all_share(settings, may_wait):
    made = Worker.__new__(Worker)
    made.cfg = SimpleNamespace(threads=1)

    made._make_lanes(settings)

    assert made._may_wait == may_wait
