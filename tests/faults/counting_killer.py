"""Counts the log again and again in a process of its own that is killed at random moments.

    python -m tests.faults.counting_killer MONGO_URI DATABASE KILLS

Imports once and forks, as a start costs more than the counting. Prints how many counters were killed.
"""

import os
import random
import signal
import sys
import time

from mlops.counting import Counter
from model.monitoring import PREDICTION, PROBABILITY, ModelReference
from utils.mongo import connection
from utils.mongo.counts import CountStore
from utils.mongo.predictions import PredictionStore

BATCH = 10
REFERENCE = ModelReference.fit(
    {
        "tempo": [80.0 + i / 2 for i in range(200)],
        "genre": ["pop", "rock", None, "folk"] * 50,
        PREDICTION: [0, 1] * 100,
        PROBABILITY: [i / 200 for i in range(200)],
    },
    {"tempo": "number", "genre": "category", PREDICTION: "category", PROBABILITY: "number"},
)


def counter_of(db: connection.Database, batch: int = BATCH) -> Counter:
    """Return a counter of this database that moves its watermark often."""
    return Counter(PredictionStore(db), CountStore(db), lambda model, version: REFERENCE, batch)


def count(uri: str, database: str) -> None:
    """Count what is new."""
    db = connection.connect(uri, database)
    counter_of(db).count_new()
    connection.close(db)


def kill_one(uri: str, database: str, after_s: float) -> bool:
    """Start a counter, kill it after a while, and say whether it was still counting."""
    child = os.fork()
    if not child:
        count(uri, database)
        os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main(uri: str, database: str, kills: int) -> None:
    """Kill so many counters at work."""
    chance = random.Random(4)
    n_killed = 0
    for _ in range(kills):
        n_killed += kill_one(uri, database, chance.uniform(0.005, 0.2))
    sys.stdout.write(str(n_killed))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
