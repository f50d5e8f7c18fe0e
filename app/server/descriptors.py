"""How many connections the operating system lets a process have; it knows nothing of what comes over them."""

import resource

# For files, the spool, MongoDB's connections and what modules keep open.
RESERVED = 128
LEAST = 32


def room_for(n_wanted: int) -> int:
    """Return how many connections this process may have of ``n_wanted``, after it asked for as many.

    The soft limit of open files is 256 to 1,024 on many systems; a process may raise it up to the hard one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return n_wanted
    needed = n_wanted + RESERVED
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(min(n_wanted, soft - RESERVED), LEAST)
