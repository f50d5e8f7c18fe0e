"""How often one caller may ask: ``RATE_LIMIT``, counted by key, else by address.

Costs nothing where it is unset. Where the count itself cannot be reached, callers are let through: a store
that is away must not stop what does not need it.
"""

import math
import time

from mlops.services import Services
from utils.errors import TooManyRequestsError


def spend(services: Services, caller: str) -> None:
    """Count one request of ``caller``. Raises TooManyRequestsError beyond the limit."""
    limits = services.limits
    if limits is None:
        return
    free_at = limits.spend(caller)
    if free_at is not None:
        wait_s = max(math.ceil(free_at - time.time()), 1)
        raise TooManyRequestsError(f"More requests than RATE_LIMIT allows; try again in {wait_s} s.", wait_s)
