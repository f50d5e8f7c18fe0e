"""The connection to MongoDB and what goes wrong with it.

A client is opened in each process after it was forked, never before: its threads and sockets do not survive
a fork. The stores beside this module take the ``Database`` that ``connect`` returns. Passwords are never
shown: where a URI is printed, print ``redacted(uri)``.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pymongo
import pymongo.collection
import pymongo.database
import pymongo.uri_parser
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from utils.errors import SettingsError, UnavailableError

Document = dict[str, Any]
Documents = list[Document]
Database = pymongo.database.Database[Document]
Collection = pymongo.collection.Collection[Document]

# A server that is stopping or stepping down says so by these codes, and the same call works a moment later.
PASSING_CODES = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})

# What was acknowledged survives the loss of any minority of the servers and a crash of all of them.
DURABLE: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "retryWrites": True,
    "uuidRepresentation": "standard",
    "tz_aware": True,
    "tzinfo": UTC,
}
# Milliseconds; a URI may name others.
TIMEOUTS: dict[str, Any] = {
    "serverSelectionTimeoutMS": 2_000,
    "connectTimeoutMS": 2_000,
    "socketTimeoutMS": 20_000,
    "wTimeoutMS": 10_000,
}
URI_HINT = (
    "should look like mongodb://user:password@host:27017/?replicaSet=name, with special characters of user "
    "and password percent-encoded"
)


def connect(uri: str, database: str, *, app_name: str = "vigia") -> Database:
    """Return the database ``database`` of the server at ``uri``; close it with ``close``.

    Nothing is sent yet, so a server that is down shows at the first call, as ``UnavailableError``.

    Raises
    ------
    SettingsError
        If the URI or the name of the database cannot be used. Names the variable, never the password.
    """
    try:
        client = _client(uri, app_name)
    except (ConfigurationError, ValueError, TypeError):
        # The driver's own message may quote a part of the password.
        raise SettingsError(f"MONGO_URI cannot be used: {redacted(uri)!r} {URI_HINT}") from None
    try:
        return client[database]
    except PyMongoError as error:
        client.close()
        raise SettingsError(f"MONGO_DB cannot be used: {error}") from None


def check(uri: str) -> None:
    """Raise SettingsError if ``uri`` cannot be used; of SRV names that is not known before asking."""
    if uri.startswith("mongodb+srv://"):
        return
    try:
        pymongo.uri_parser.parse_uri(uri)
    except (ConfigurationError, ValueError, TypeError):
        raise SettingsError(f"MONGO_URI cannot be used: {redacted(uri)!r} {URI_HINT}") from None


def _client(uri: str, app_name: str) -> pymongo.MongoClient[Document]:
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError(uri)
    given = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query)}
    timeouts = {name: value for name, value in TIMEOUTS.items() if name.lower() not in given}
    return pymongo.MongoClient(uri, appname=app_name, **DURABLE, **timeouts)


def close(db: Database) -> None:
    """Close all sockets and threads behind ``db``."""
    db.client.close()


def drop(db: Database) -> None:
    """Delete everything in ``db``."""
    with translated():
        db.client.drop_database(db.name)


def redacted(uri: str) -> str:
    """Return ``uri`` without its password and without what else could hold one.

    >>> redacted("mongodb://ana:s3cret@db.example:27017/?replicaSet=rs")
    'mongodb://ana:***@db.example:27017/?replicaSet=rs'
    """
    hidden = re.sub(r"//([^:/@]*):.*@", r"//\1:***@", uri)
    return re.sub(r"(?i)([?&][^=&]*(?:password|properties)=)[^&]*", r"\1***", hidden)


def ping(db: Database) -> bool:
    """Return whether the server answers and can take writes now."""
    try:
        answer = db.client.admin.command("hello")
    except PyMongoError:
        return False
    return bool(answer.get("isWritablePrimary"))


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors that pass with time into ``UnavailableError``; let the others through.

    Every public method of a store runs inside of it, so nobody outside of this package sees the driver.
    """
    try:
        yield
    except (ConnectionFailure, WTimeoutError, ExecutionTimeout) as error:
        raise UnavailableError(f"MongoDB does not answer: {_brief(error)}") from error
    except OperationFailure as error:
        if error.code in PASSING_CODES:
            raise UnavailableError(f"MongoDB is changing its primary: {_brief(error)}") from error
        raise


def within(seconds: float) -> AbstractContextManager[object]:
    """Return a context in which all calls together take at most so long, each with its retries.

    What takes longer raises ``UnavailableError``. For callers that somebody waits for: the time-outs of
    single calls add up.
    """
    return pymongo.timeout(seconds)


def _brief(error: PyMongoError) -> str:
    """Return the first part of the driver's message; the rest describes each server at length."""
    return str(error).split(", Timeout:")[0].split(" (configured timeouts")[0][:200]
