"""The workers: processes of this machine, or the cluster at ``DASK_SCHEDULER_ADDRESS``."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from utils.errors import UnavailableError

CONNECT_S = 15
# What Dask measures all the time takes 3 % of both cores and is of no use here. Its way to give back memory
# after each free (MALLOC_TRIM_THRESHOLD_) makes a predictor 10 % slower. And no limit stops a worker: parts
# are small and few are under way.
LEAN = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1},
}


@contextmanager
def client(address: str | None, n_workers: int) -> Iterator[Client]:
    """Connect to a cluster, or start ``n_workers`` processes of one thread each and end them afterwards.

    Raises UnavailableError if nobody answers at ``address``, or the cluster has no workers.
    """
    # Its comings and goings are of no use to who runs a command.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    if address is None:
        with _local(n_workers) as cluster, Client(cluster) as found:
            yield found
        return
    try:
        found = Client(address, timeout=CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise UnavailableError(
            f"DASK_SCHEDULER_ADDRESS: no scheduler answers at {address} ({error})."
        ) from None
    with found:
        try:
            found.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError:
            raise UnavailableError(
                f"The cluster at {address} has no workers: dask worker {address}"
            ) from None
        yield found


def _local(n_workers: int) -> LocalCluster:
    dask.config.set(LEAN)
    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=logging.ERROR,
    )
