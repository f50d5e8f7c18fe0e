"""Counts requests, each before its answer is sent, in memory that all workers of this machine can read.

The counts of a worker are in files in shared memory (``app.server.slots`` says where). They outlive it, and
the worker that takes its place goes on counting in them: nothing falls when a worker is recycled or killed.
Without such a folder, as in tests and under other servers, the counts are those of this process.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector

from app.server import slots

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
REASONS = {
    "400": "bad_request",
    "401": "unauthorized",
    "403": "forbidden",
    "404": "not_found",
    "405": "method",
    "409": "conflict",
    "413": "too_large",
    "415": "unsupported_type",
    "422": "invalid_rows",
    "429": "rate_limit",
    "503": "unavailable",
}
OVERLOADED = "overloaded"


class Meter:
    """The counts of one process."""

    def __init__(self) -> None:
        if slots.folder():
            values.ValueClass = values.MultiProcessValue(slots.own)  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self._registry}
        self._requests = _cached(
            Counter(
                "predict_requests",
                "Requests for predictions that were answered, by status.",
                ["model", "version", "route", "status"],
                **own,
            )
        )
        self._durations = _cached(
            Histogram(
                "predict_request_duration_seconds",
                "From the whole request to its answer.",
                ["model"],
                buckets=BUCKETS_S,
                **own,
            )
        )
        self._rows = _cached(Counter("predict_rows", "Rows answered.", ["model", "version"], **own))
        self._rejected = _cached(
            Counter("predict_rejected", "Requests for predictions that were refused.", ["reason"], **own)
        )
        self._others = _cached(
            Counter("http_requests", "Other requests.", ["route", "method", "status"], **own)
        )
        live: dict[str, Any] = {"multiprocess_mode": "livesum", **own}
        self._in_progress = Gauge("predict_in_progress", "Predictions waiting or under way.", **live)
        self._look: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._spool_bytes = Gauge("log_spool_bytes", "Bytes on disk of the rows that wait.", **live)

    def note_prediction(self, model: str, version: str, route: str, status: str, seconds: float) -> None:
        """Count one request for predictions."""
        self._requests(model, version, route, status).inc()
        self._durations(model).observe(seconds)
        if status >= "400":
            self._rejected(REASONS.get(status, "error")).inc()

    def note_rows(self, model: str, version: str, n_rows: int) -> None:
        """Count rows that were answered."""
        self._rows(model, version).inc(n_rows)

    def note_refusal(self, status: str) -> None:
        """Count a request for predictions that the server refused before it was looked at."""
        self._requests("", "", "", status).inc()
        self._rejected(OVERLOADED if status == "503" else REASONS.get(status, "error")).inc()

    def note_other(self, route: str, method: str, status: str) -> None:
        """Count any other request."""
        self._others(route, method if method in METHODS else "other", status).inc()

    def watch(self, look: Callable[[], tuple[int, int]]) -> None:
        """Have ``look`` return how many predictions are under way, and the bytes of the spool."""
        self._look = look

    def show_all(self) -> None:
        """Set what this worker has under way and in its spool; for the others to see, once a second."""
        n_pending, n_bytes = self._look()
        self._in_progress.set(n_pending)
        self._spool_bytes.set(n_bytes)

    def collected(self) -> CollectorRegistry:
        """Return the counts of all workers."""
        if not slots.folder():
            return self._registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry, slots.folder())  # type: ignore[no-untyped-call]
        return registry


def _cached(metric: Any) -> Callable[..., Any]:
    """Return what finds a metric's child by its labels; sooner than the metric itself, which locks."""
    return lru_cache(maxsize=None)(metric.labels)
