"""A replica set of one: made, told its new port after a move, and waited for.

Used for the private MongoDB only; a server of the user's is taken as it is.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pymongo
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from utils.errors import UnavailableError
from utils.mongo.connection import Document

NOT_YET_INITIALIZED = 94
POLL_S = 0.01


def ensure_primary(
    uri: str, host: str, data: Path, is_alive: Callable[[], bool], timeout_s: float = 90.0
) -> bool:
    """Wait until the server at ``uri`` takes writes, as the only member of its replica set.

    Parameters
    ----------
    uri : str
        Where it listens, with ``directConnection=true``.
    host : str
        ``address:port``, as its replica set should know it.
    data : Path
        Its data folder; a server with another one is somebody else's, and is left alone.
    is_alive : callable
        Says whether its process is there.

    Returns
    -------
    bool
        Whether it does; False when its process ended meanwhile.

    Raises
    ------
    UnavailableError
        If it does not within ``timeout_s``, or is not the server that was meant.
    """
    deadline = time.monotonic() + timeout_s
    last: PyMongoError | None = None
    with pymongo.MongoClient[Document](uri, serverSelectionTimeoutMS=2_000, appname="vigia") as client:
        while time.monotonic() < deadline:
            try:
                _refuse_stranger(client, data)
                if _step(client, host):
                    return True
            except (ConnectionFailure, OperationFailure) as error:
                if not is_alive():
                    return False
                last = error  # it is still starting
            time.sleep(POLL_S)
    raise UnavailableError(f"The private MongoDB did not become writable in {timeout_s:g} s: {last}")


def _refuse_stranger(client: pymongo.MongoClient[Document], data: Path) -> None:
    options = client.admin.command("getCmdLineOpts")["parsed"]
    folder = options.get("storage", {}).get("dbPath", "")
    if Path(folder) != data:
        raise UnavailableError("Another MongoDB listens on the port of the private one")


def _step(client: pymongo.MongoClient[Document], host: str) -> bool:
    """Do the next thing that is missing; return whether nothing is."""
    if client.admin.command("hello").get("isWritablePrimary"):
        return True
    config = _config(client)
    if config is None:
        members = [{"_id": 0, "host": host}]
        client.admin.command("replSetInitiate", {"_id": "vigia", "members": members})
    elif config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
    return False


def _config(client: pymongo.MongoClient[Document]) -> Document | None:
    try:
        config: Document = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        return None
    return config
