"""``GET /metrics`` for Prometheus: what all workers counted, what this one sees, and what MongoDB knows.

Needs a key with the scope ``metrics`` (or ``read``, ``admin``) where there are keys, as it shows data.
"""

import threading
import time
from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, request
from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.auth import needs
from app.context import meter, services
from mlops import gauges
from mlops.drift_gauges import Gauge
from mlops.services import Services
from utils.errors import UnavailableError

blueprint = Blueprint("metrics", __name__)

# How long what MongoDB knows is shown before it is asked again; several scrapers may come.
KEPT_S = 5.0
COUNTER = "_total"


@blueprint.get("/metrics")
@needs("metrics")
def metrics() -> Response:
    """Show counters and gauges to Prometheus."""
    own = services()
    meter().show_all()
    registry = meter().collected()
    registry.register(Families([*gauges.log_counts(own), gauges.versions(own), *stored.of(own)]))
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=kind)


class Stored:
    """What MongoDB knows, asked for at most once in a few seconds; nothing while it is away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: list[Gauge] = []
        self._ask_at = 0.0

    def of(self, services: Services) -> list[Gauge]:
        """Return the gauges, and whether MongoDB answered."""
        with self._lock:
            if time.monotonic() >= self._ask_at:
                self._found = self._asked(services)
                self._ask_at = time.monotonic() + KEPT_S
            return self._found

    def _asked(self, services: Services) -> list[Gauge]:
        is_up = Gauge("store_up", "1 if MongoDB answers.", (), {(): 0.0})
        if services.shipper.outage_since is not None:
            return [is_up]
        try:
            found = gauges.all_gauges(services)
        except UnavailableError:
            return [is_up]
        return [*found, Gauge(is_up.name, is_up.description, (), {(): 1.0})]


stored = Stored()


class Families(Collector):
    """Gauges in the form of the library."""

    def __init__(self, gauges: Iterable[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """Yield each as a family."""
        for gauge in self._gauges:
            is_counter = gauge.name.endswith(COUNTER)
            family = Metric(
                gauge.name.removesuffix(COUNTER), gauge.description, "counter" if is_counter else "gauge"
            )
            for labels, value in gauge.samples.items():
                family.add_sample(gauge.name, dict(zip(gauge.labels, labels, strict=True)), value)
            yield family
