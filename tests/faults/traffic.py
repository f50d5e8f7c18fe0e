"""Clients that ask a service without pause and know exactly which rows were answered with 200.

Each request has an id of its own, and where wanted a key, under which it is asked again until it is answered.
Its rows count as answered when the whole answer has come, and the request as cut where the connection broke
before: then the service may have logged it, or not.
"""

import itertools
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from types import TracebackType

from tests.running import Service, wait_until
from utils.mongo.connection import Database

PAUSE_S = 0.02
HEADERS = {"Content-Type": "application/json"}
BODIES = [json.dumps({"data": [{"a": 0.5, "b": -0.2}] * n_rows}) for n_rows in (1, 1, 1, 7)]


class Traffic:
    """Some clients, each asking one request after another.

    Attributes
    ----------
    port : int
        Where they ask; may change while they do.
    answered : dict
        The id of each prediction that was answered, with the id of its request.
    cut : set
        Ids of requests whose answer did not come.
    statuses : Counter
        How many requests were answered how.
    """

    def __init__(
        self, service: Service, n_clients: int = 4, *, pause_s: float = 0.0, is_keyed: bool = False
    ) -> None:
        self.name = uuid.uuid4().hex
        self.port = service.port
        self.before = counts(service)
        self.answered: dict[str, str] = {}
        self.cut: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self._pause_s = pause_s
        self._is_keyed = is_keyed
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(n_clients)]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def flow(self, n_rows: int = 200) -> None:
        """Return when so many more rows were answered."""
        enough = len(self.answered) + n_rows
        wait_until(lambda: len(self.answered) >= enough, 60, lambda: f"{self.statuses}, {len(self.cut)} cut")

    def _ask(self, client: int) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        for number in itertools.count():
            if self._stop.wait(self._pause_s):
                break
            while not self._ask_once(connection, f"{self.name}-{client}-{number}", number):
                time.sleep(PAUSE_S)
                if not self._is_keyed:
                    break
        connection.close()

    def _ask_once(self, connection: HTTPConnection, request_id: str, number: int) -> bool:
        """Ask and return whether it was answered with 200."""
        self._direct(connection)
        try:
            body = BODIES[number % len(BODIES)]
            connection.request("POST", "/predict", body, HEADERS | self._names(request_id))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            self.cut.add(request_id)
            connection.close()  # the next request opens it again
            return False
        self._note(request_id, answer.status, content)
        return answer.status == 200

    def _direct(self, connection: HTTPConnection) -> None:
        """Let the next request go where it should."""
        if connection.port != self.port:
            connection.close()
            connection.port = self.port

    def _names(self, request_id: str) -> dict[str, str]:
        key = {"Idempotency-Key": request_id} if self._is_keyed else {}
        return {"X-Request-ID": request_id, **key}

    def _note(self, request_id: str, status: int, content: bytes) -> None:
        self.statuses[status] += 1
        if status == 200:
            self.answered |= {row["prediction_id"]: request_id for row in json.loads(content)["predictions"]}


class BalancedTraffic(Traffic):
    """Clients of several replicas, which go on to the next where one cannot be reached or cuts them off.

    Attributes
    ----------
    unhealed : list
        Requests that no replica answered with 200.
    """

    def __init__(self, services: Sequence[Service], n_clients: int = 4, *, pause_s: float = 0.0) -> None:
        super().__init__(services[0], n_clients, pause_s=pause_s)
        self._ports = itertools.cycle([service.port for service in services])
        self._n_tries = 2 * len(services)
        self.unhealed: list[str] = []

    def _direct(self, connection: HTTPConnection) -> None:
        """Stay with the replica that answered last."""

    def _ask_once(self, connection: HTTPConnection, request_id: str, number: int) -> bool:
        for attempt in range(self._n_tries):
            if super()._ask_once(connection, f"{request_id}-{attempt}", number):
                return True
            connection.close()
            connection.port = next(self._ports)
        self.unhealed.append(request_id)
        return False


def stored_rows(db: Database, traffic: Traffic) -> dict[str, tuple[str, int]]:
    """Return request and row of each prediction of this traffic that is stored, by prediction id."""
    found = db["predictions"].find({"request_id": {"$regex": f"^{traffic.name}"}}, ["request_id", "row"])
    return {row["_id"]: (row["request_id"], row["row"]) for row in found}


def losses(db: Database, traffic: Traffic) -> dict[str, int]:
    """Compare what was answered with what is stored: what is lost, doubled, or stored without reason."""
    stored = stored_rows(db, traffic)
    others = [stored[prediction_id] for prediction_id in stored.keys() - traffic.answered.keys()]
    return {
        "lost": len(traffic.answered.keys() - stored.keys()),
        "doubled": len(stored) - len(set(stored.values())),
        "stored without an answer": sum(request_id not in traffic.cut for request_id, _ in others),
    }


NOTHING_WRONG = {"lost": 0, "doubled": 0, "stored without an answer": 0}


def check(db: Database, traffic: Traffic) -> None:
    """Wait until what was answered is stored, and assert that it is stored once and nothing else is."""
    wait_until(lambda: losses(db, traffic)["lost"] == 0, 60, lambda: f"{losses(db, traffic)}")
    assert losses(db, traffic) == NOTHING_WRONG
    assert traffic.answered


def check_counts(db: Database, traffic: Traffic, service: Service) -> None:
    """Wait until all processes together tell exactly what this traffic added to MongoDB."""
    n_rows = len(stored_rows(db, traffic))
    n_before = {name: traffic.before[name] for name in ("answered", "stored")}
    wanted = {name: n + n_rows for name, n in n_before.items()} | {"spooled": 0, "difference": 0}
    wait_until(lambda: counts(service) == wanted, 60, lambda: f"{counts(service)} instead of {wanted}")


def counts(service: Service) -> dict[str, int]:
    """Return the counts of the log as the service shows them."""
    found: dict[str, int] = service.get("/readyz")[1]["log"]
    return found
