"""Counts rows that were refused, by model and reason, and stores the counts every few seconds.

A refused request costs a few additions here; MongoDB is never asked while it waits.
"""

import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from utils.errors import Fault
from utils.mongo.rejections import RejectionStore
from utils.time import now

MAX_REASONS = 1_000  # names of unknown fields come from outside; memory must not


def count(fault: Fault, counts: Counter[str]) -> None:
    """Add one fault to the counts of its reason."""
    reason = f"{fault.code} {fault.field or fault.pointer.rpartition('/')[2]}"
    if reason in counts or len(counts) < MAX_REASONS:
        counts[reason] += 1


def sample_of(fault: Fault) -> dict[str, str]:
    """Return what is kept of one fault: never a value."""
    return {"pointer": fault.pointer, "code": fault.code}


@dataclass(frozen=True)
class _Batch:
    id: str
    model: str
    counts: Counter[str]
    sample: dict[str, str] | None
    at: datetime


class Rejections:
    """Refusals that wait to be stored."""

    def __init__(self, store: Callable[[], RejectionStore]) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._samples: dict[str, dict[str, str]] = {}
        # What was sent and not acknowledged goes again as it was, under the same id: it may be there.
        self._sent: deque[_Batch] = deque()

    def note(self, model: str, faults: Sequence[Fault]) -> None:
        """Count the faults of one refused request; keeps codes, fields and pointers, never values."""
        with self._lock:
            counts = self._counts.setdefault(model, Counter())
            for fault in faults:
                count(fault, counts)
                self._samples[model] = sample_of(fault)

    def store(self) -> None:
        """Store what was counted since the last time. Raises UnavailableError, and keeps the counts then."""
        if not self._sent:
            self._take()
        while self._sent:
            batch = self._sent[0]
            self._store().add(batch.model, batch.counts, batch.sample, batch.at, batch.id)
            self._sent.popleft()

    def _take(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, {}
            samples, self._samples = self._samples, {}
        at = now()
        self._sent.extend(
            _Batch(uuid.uuid4().hex, model, some, samples.get(model), at) for model, some in counts.items()
        )
