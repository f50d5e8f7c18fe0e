"""Gives memory back after large requests: it tells the C library once how to behave, and knows no request.

By default glibc keeps a pool of freed memory for each thread and, after large blocks were freed, ever more of
it, so a worker that once answered ten thousand rows would keep what they took.
"""

import ctypes

# From malloc.h; the limits are those of mallopt(3).
M_TRIM_THRESHOLD, M_ARENA_MAX = -1, -8
TRIM_ABOVE_BYTES = 1_000_000
N_POOLS = 2


def keep_small() -> bool:
    """Let all threads share two pools, and return what is free at a pool's end from one megabyte on.

    Returns
    -------
    bool
        Whether this C library has such switches (glibc has, others need none or have none).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_ARENA_MAX, N_POOLS) and mallopt(M_TRIM_THRESHOLD, TRIM_ABOVE_BYTES))
