"""Group commit: of the threads that append at the same time, one commits for all, and nobody waits twice."""

import threading
from collections.abc import Callable


class Arrival:
    """One append on its way: where it went, or why it was refused."""

    __slots__ = ("is_settled", "payload", "refusal", "rows", "seq", "turn")

    def __init__(self, payload: bytes, rows: int) -> None:
        self.payload = payload
        self.rows = rows
        self.seq = 0
        self.refusal = "The log of predictions cannot be written."
        self.is_settled = False
        self.turn = threading.Lock()
        self.turn.acquire()


class Arrivals:
    """Where appends meet.

    ``commit`` gets all that wait, in order, and sets ``seq`` or ``refusal`` of each. One thread at a time is
    in it; those who come meanwhile wait for their own turn only, and the first of them commits next.
    """

    def __init__(self, commit: Callable[[list[Arrival]], None]) -> None:
        self._commit = commit
        self._waiting: list[Arrival] = []
        self._is_committing = False
        self._gate = threading.Lock()

    def settle(self, arrival: Arrival) -> None:
        """Return when ``arrival`` is committed or refused."""
        with self._gate:
            self._waiting.append(arrival)
            is_first = not self._is_committing
            self._is_committing = True
        if not is_first:
            arrival.turn.acquire()
        if not arrival.is_settled:
            self._settle_all()

    def _settle_all(self) -> None:
        with self._gate:
            group, self._waiting = self._waiting, []
        try:
            self._commit(group)
        finally:
            self._wake(group)

    def _wake(self, group: list[Arrival]) -> None:
        with self._gate:
            heir = self._waiting[0] if self._waiting else None
            self._is_committing = heir is not None
        for arrival in group:
            arrival.is_settled = True
            arrival.turn.release()
        if heir is not None:
            heir.turn.release()
