"""Counts rows that were refused, by model and reason, and stores the counts every few seconds.

A refused request costs a few additions here; MongoDB is never asked while it waits.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from utils.errors import Fault, UnavailableError
from utils.mongo.rejections import RejectionStore
from utils.time import now

MAX_REASONS = 1_000  # names of unknown fields come from outside; memory must not


class Rejections:
    """Refusals that wait to be stored."""

    def __init__(self, store: Callable[[], RejectionStore]) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._samples: dict[str, dict[str, str]] = {}

    def note(self, model: str, faults: Sequence[Fault]) -> None:
        """Count the faults of one refused request; keeps codes, fields and pointers, never values."""
        with self._lock:
            counts = self._counts.setdefault(model, Counter())
            for fault in faults:
                reason = f"{fault.code} {fault.field or fault.pointer.rpartition('/')[2]}"
                if reason in counts or len(counts) < MAX_REASONS:
                    counts[reason] += 1
                self._samples[model] = {"pointer": fault.pointer, "code": fault.code}

    def store(self) -> None:
        """Store what was counted since the last time. Raises UnavailableError, and keeps the counts then."""
        with self._lock:
            counts, self._counts = self._counts, {}
            samples, self._samples = self._samples, {}
        for model in list(counts):
            try:
                self._store().add(model, counts[model], samples.get(model), now())
            except UnavailableError:
                self._put_back(counts)
                raise
            del counts[model]

    def _put_back(self, counts: dict[str, Counter[str]]) -> None:
        with self._lock:
            for model, more in counts.items():
                self._counts.setdefault(model, Counter()).update(more)
