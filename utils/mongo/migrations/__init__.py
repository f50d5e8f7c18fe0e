"""Changes of the database from one shape to the next: which are due, and doing them.

Each step of ``steps.STEPS`` is done once, in order, and noted in the collection ``migrations``: ``_id`` (the
schema version after it), ``name``, ``oldest_program``, ``state``, ``started_at``, ``finished_at``,
``position``. A step that was interrupted goes on where it was, and doing a part of it twice does no harm, so
any number of releases may run at once.

Programs of two versions work side by side: a step only adds fields and indexes that an older program
overlooks, or takes away what it does without. One that an older program cannot live with says so by its
``oldest_program``, and programs from before refuse to work on such a database.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from utils.errors import ConflictError
from utils.mongo.connection import Database, Document, translated
from utils.mongo.leases import LeaseStore
from utils.mongo.migrations.steps import STEPS, Position, Step
from utils.mongo.shape import SCHEMA_VERSION
from utils.time import now

LEASE, LEASE_S, POLL_S = "migration", 60.0, 0.2
# What only a database that was in use has.
USED = ("predictions", "model_versions", "labels", "drift_counts")


@dataclass(frozen=True)
class Standing:
    """How a database and this program fit.

    Attributes
    ----------
    database : int
        Schema version of the database: that of its newest step, 0 before the first.
    program : int
        Schema version that this program writes.
    oldest_program : int
        Of programs that can work on this database.
    pending : tuple of str
        Names of the steps that ``python -m mlops release`` would do.
    """

    database: int
    program: int
    oldest_program: int
    pending: tuple[str, ...]

    @property
    def is_too_new(self) -> bool:
        """Whether this program must not work on this database."""
        return self.program < self.oldest_program

    @property
    def sentence(self) -> str | None:
        """What people should know, None while both are of the same version."""
        if self.is_too_new:
            return (
                f"The database has schema version {self.database}, with which programs before "
                f"{self.oldest_program} cannot work; this one has {self.program}. Run the newer program."
            )
        if self.pending:
            return f"The database waits for python -m mlops release: {'; '.join(self.pending)}."
        return None


def standing(db: Database) -> Standing:
    """Return how the database and this program fit. Raises UnavailableError."""
    done = _done(db)
    return Standing(
        max(done, default=0),
        SCHEMA_VERSION,
        max((int(one.get("oldest_program") or 0) for one in done.values()), default=0),
        tuple(step.name for step in STEPS if step.version not in done),
    )


def require_known(db: Database) -> None:
    """Raise ConflictError if this program is too old for the database."""
    found = standing(db)
    if found.is_too_new:
        raise ConflictError(str(found.sentence))


def begin(db: Database) -> None:
    """Note all steps as done in a database that nobody has used: it is made in the newest shape."""
    with translated():
        names = set(db.list_collection_names())
        if "migrations" in names or any(db[name].find_one({}, ["_id"]) for name in USED if name in names):
            return
    for step in STEPS:
        _note(db, step, {"state": "done", "finished_at": now()})


def place(db: Database, version: int) -> None:
    """Note the steps up to ``version`` as done and later ones as not, as what was stored is."""
    with translated():
        db["migrations"].delete_many({"_id": {"$gt": version}})
    for step in STEPS:
        if step.version <= version:
            _note(db, step, {"state": "done", "finished_at": now()})


def migrate(db: Database, tell: Callable[[str], object] = lambda sentence: None) -> list[int]:
    """Do the steps that are due, one after another, and return their versions.

    Where another process is at it, wait until it is done or has fallen silent.

    Parameters
    ----------
    tell : callable
        Gets a sentence for people, as each step begins.

    Raises
    ------
    ConflictError
        If this program is too old for the database; nothing is changed.
    UnavailableError
        If MongoDB goes away; called again, it goes on.
    """
    require_known(db)
    leases, owner = LeaseStore(db), uuid4().hex
    found = []
    for step in _due(db):
        if not leases.acquire(LEASE, owner, LEASE_S):
            time.sleep(POLL_S)
            continue
        try:
            if step.version not in _done(db):
                tell(f"{step.version}: {step.name}")
                _do(db, step, lambda: leases.renew(LEASE, owner, LEASE_S))
                found.append(step.version)
        finally:
            leases.release(LEASE, owner)
    return found


def _due(db: Database) -> Iterator[Step]:
    """Yield the first step that is not done, again and again, until all are."""
    while due := [step for step in STEPS if step.version not in _done(db)]:
        yield due[0]


def _do(db: Database, step: Step, renew: Callable[[], object]) -> None:
    with translated():
        begun = db["migrations"].find_one({"_id": step.version}) or {}

        def mark(position: Position) -> None:
            renew()
            _note(db, step, {"position": position})

        _note(db, step, {"state": "running", "started_at": begun.get("started_at") or now()})
        step.apply(db, begun.get("position"), mark)
        _note(db, step, {"state": "done", "finished_at": now()})


def _done(db: Database) -> dict[int, Document]:
    with translated():
        return {one["_id"]: one for one in db["migrations"].find({"state": "done"})}


def _note(db: Database, step: Step, fields: Document) -> None:
    fields = {"name": step.name, "oldest_program": step.oldest_program, **fields}
    with translated():
        db["migrations"].update_one({"_id": step.version}, {"$set": fields}, upsert=True)
