"""Something done again and again in a thread of its own, that outlives failures and MongoDB being away."""

import logging
import threading
from collections.abc import Callable

from utils.errors import UnavailableError

log = logging.getLogger(__name__)

JOIN_S = 5.0


class Repeating:
    """Calls ``action`` at once and then every ``interval_s`` seconds; with ``is_last_too`` also at the end.

    Start it after fork only.
    """

    def __init__(
        self, name: str, action: Callable[[], object], interval_s: float, *, is_last_too: bool = False
    ) -> None:
        self._name = name
        self._is_last_too = is_last_too
        self._action = action
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._is_away = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; an action under way is finished."""
        self._stopped.set()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while True:
            self._act()
            if self._stopped.wait(self._interval_s):
                break
        if self._is_last_too:
            self._act()

    def _act(self) -> None:
        try:
            self._action()
            self._is_away = False
        except UnavailableError as error:
            if not self._is_away:  # one line an outage, not one a try
                log.warning("%s waits: %s", self._name, error.detail)
            self._is_away = True
        except Exception:  # the thread must go on: the next time may go well
            log.exception("%s failed", self._name)
