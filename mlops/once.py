"""What is asked again under the same key is done once: the first answer is kept for a day and given again.

A key is claimed in a file of this machine and then in MongoDB, which other machines see. While MongoDB is
away the file alone decides, so then a key is known to one machine. A process may be killed anywhere in
between: whoever claims the key next, after its lease, does the work again under the same prediction ids, and
the log stores each of them once.

Stays away from HTTP: what is asked and answered are bytes.
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from utils.claims import Claim, ClaimFile
from utils.errors import ConflictError, InProgressError, UnavailableError
from utils.mongo.claims import ClaimStore
from utils.time import Origin

log = logging.getLogger(__name__)

# Longer than predictions take; a second one at the same time would only do the same work twice.
LEASE_S = 5.0
# How long MongoDB is not asked after it did not answer.
AWAY_S = 5.0


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to do something, or what came out when it was done before.

    Attributes
    ----------
    name, owner : str
        What is done, by whom.
    at : datetime
        When it was first begun.
    outcome : bytes or None
        What came out; then there is nothing to do.
    is_shared : bool
        Whether MongoDB knows of it.
    """

    name: str
    owner: str
    at: datetime
    outcome: bytes | None
    is_shared: bool

    @property
    def origin(self) -> Origin:
        """Where its prediction ids come from: the same ones, whoever does it."""
        return Origin(self.at, self.name.encode())


class Once:
    """Keys of requests, of this machine and of all."""

    def __init__(self, here: ClaimFile, everywhere: Callable[[], ClaimStore]) -> None:
        self._here = here
        self._everywhere = everywhere
        self._ask_again_at = 0.0

    def begin(self, name: str, fingerprint: bytes) -> Turn:
        """Claim ``name`` for work of this ``fingerprint``.

        Raises
        ------
        ConflictError
            If it was claimed for something else.
        InProgressError
            If somebody is at it just now.
        UnavailableError
            If it cannot be kept, neither here nor in MongoDB.
        """
        owner = uuid.uuid4().hex
        local = self._here.claim(name, owner, fingerprint, LEASE_S)
        _check(local, owner, fingerprint)
        if local.outcome is not None:
            return Turn(name, owner, local.at, local.outcome, is_shared=False)
        shared = self._claim_everywhere(name, owner, fingerprint, local.at)
        if shared is None:
            return Turn(name, owner, local.at, None, is_shared=False)
        try:
            _check(shared, owner, fingerprint)
        except ConflictError:
            self._here.release(name, owner)
            raise
        if shared.outcome is not None:
            self._here.finish(name, owner, None)
        return Turn(name, owner, shared.at, shared.outcome, is_shared=True)

    def finish(self, turn: Turn, outcome: bytes) -> None:
        """Keep what came out."""
        if turn.is_shared:
            self._tell(lambda: self._everywhere().finish(turn.name, turn.owner, outcome))
        is_here_only = not turn.is_shared or self._is_away()
        self._here.finish(turn.name, turn.owner, outcome if is_here_only else None)

    def give_up(self, turn: Turn) -> None:
        """Leave the work to the next one who asks."""
        if turn.is_shared:
            self._tell(lambda: self._everywhere().release(turn.name, turn.owner))
        self._here.release(turn.name, turn.owner)

    def close(self) -> None:
        """Close the file."""
        self._here.close()

    def _claim_everywhere(self, name: str, owner: str, fingerprint: bytes, at: datetime) -> Claim | None:
        """Return the claim as MongoDB has it, None while it is away."""
        found: list[Claim] = []
        if not self._is_away():
            self._tell(lambda: found.append(self._everywhere().claim(name, owner, fingerprint, LEASE_S, at)))
        return found[0] if found else None

    def _is_away(self) -> bool:
        return time.monotonic() < self._ask_again_at

    def _tell(self, action: Callable[[], object]) -> None:
        try:
            action()
        except UnavailableError as error:
            if not self._is_away():
                log.warning("Idempotency keys are known to this machine only for now. %s", error.detail)
            self._ask_again_at = time.monotonic() + AWAY_S


def _check(claim: Claim, owner: str, fingerprint: bytes) -> None:
    if claim.fingerprint != fingerprint:
        raise ConflictError(
            "This Idempotency-Key came with another body before. Use a key for one body only."
        )
    if claim.owner != owner and not claim.is_done:
        raise InProgressError("The first request with this Idempotency-Key is still being answered.")
