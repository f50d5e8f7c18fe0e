"""The demo goes on while it runs: its requests come over HTTP when they are due, its labels when they come.

Only the beginning of the hour under way is made up, as ``mlops.demo`` does. A service that does not answer
misses a visitor, as in life.
"""

import heapq
import json
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import urllib3

from mlops.demo import DAY, HOUR, N_DAYS, Demo, Row, Traffic
from utils.errors import UnavailableError
from utils.settings import Settings
from utils.stopping import Stop
from utils.time import now

log = logging.getLogger(__name__)

Request = tuple[datetime, Traffic, list[Row]]
SECOND = timedelta(seconds=1)
TIMEOUT_S = 10.0
OK = 200
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  a comparison


class Visitors:
    """Asks the service of a demo what its story says."""

    def __init__(self, demo: Demo, traffic: Sequence[Traffic], settings: Settings) -> None:
        self._demo = demo
        self._traffic = traffic
        host = "127.0.0.1" if settings.host in ANYWHERE else settings.host
        self._url = f"http://{host}:{settings.port}/models"
        keys = (*settings.api_keys, *settings.admin_api_keys)
        self._headers = {"Content-Type": "text/csv"} | ({"X-API-Key": keys[0]} if keys else {})
        self._coming = self._requests(traffic[0].start + N_DAYS * DAY)
        self._http = urllib3.PoolManager(retries=False, timeout=TIMEOUT_S)

    def catch_up(self) -> None:
        """Live the hour under way up to now."""
        at = now()
        for moment, traffic, rows in self._coming:
            self._demo.ask(traffic, min(moment, at), rows)
            if moment >= at:
                break
        self._demo.store()

    def visit(self, stop: Stop) -> None:
        """Ask and label until ``stop`` is set."""
        for moment, traffic, rows in self._coming:
            if stop.wait(max(0.0, (moment - now()) / SECOND)):
                return
            try:
                self._ask(traffic, rows)
                self._demo.label(traffic)
            except (urllib3.exceptions.HTTPError, UnavailableError) as error:
                log.warning("a visitor of %s went away: %s", traffic.story.model, error)

    def _requests(self, hour: datetime) -> Iterator[Request]:
        """Yield the requests of all models by time, hour after hour."""
        while True:
            streams = [[(moment, one, rows) for moment, rows in one.requests(hour)] for one in self._traffic]
            yield from heapq.merge(*streams, key=lambda request: request[0])
            hour += HOUR

    def _ask(self, traffic: Traffic, rows: Sequence[Row]) -> None:
        url = f"{self._url}/{traffic.story.model}/predict"
        answer = self._http.request("POST", url, body=self._demo.body(traffic, rows), headers=self._headers)
        if answer.status == OK:
            predictions = json.loads(answer.data)["predictions"]
            traffic.expect_labels(rows, [one["prediction_id"] for one in predictions], now())
