"""What can be told of a server: its version, set and clock, and which of our indexes it lacks."""

from dataclasses import dataclass
from datetime import UTC, datetime

from utils.errors import UnavailableError
from utils.mongo.connection import Database, translated
from utils.mongo.indexes import INDEXES


@dataclass(frozen=True)
class Server:
    """One MongoDB; ``set_name`` is None where it is no replica set, ``at`` is its time."""

    version: str
    set_name: str | None
    at: datetime


def server(db: Database) -> Server:
    """Return what the server says of itself. Raises UnavailableError unless it answers and takes writes."""
    with translated():
        hello = db.client.admin.command("hello")
        version = str(db.client.server_info()["version"])
    if not hello.get("isWritablePrimary"):
        raise UnavailableError("MongoDB answers and takes no writes: the set has no primary.")
    return Server(version, hello.get("setName"), hello["localTime"].replace(tzinfo=UTC))


def missing_indexes(db: Database) -> list[str]:
    """Return the collections that lack an index of ours, sorted."""
    with translated():
        present = {name: set(db[name].index_information()) for name in INDEXES}
    return sorted(
        name for name, indexes in INDEXES.items()
        if any(index.document["name"] not in present[name] for index in indexes)
    )  # fmt: skip
