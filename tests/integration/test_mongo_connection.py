"""The connection to MongoDB: what is refused at once, what is hidden, what is translated."""

import socket
import time
from datetime import UTC

import pytest
from pymongo.errors import BulkWriteError, OperationFailure

from utils.errors import SettingsError, UnavailableError
from utils.mongo import connection
from utils.mongo.predictions import PredictionStore
from utils.time import now


@pytest.mark.parametrize(
    "uri",
    [
        "localhost:27017",
        "postgres://ana:s3cret@host/db",
        "mongodb://ana:s3@cr/et@host/",
        "mongodb://ana:s3cret@host:port/",
        "mongodb://",
    ],
)
def test_a_wrong_uri_names_its_variable_and_hides_the_password(uri):
    with pytest.raises(SettingsError, match="MONGO_URI") as error:
        connection.connect(uri, "vigia")

    assert "s3" not in error.value.detail
    assert error.value.__cause__ is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "$x"])
def test_a_wrong_name_of_the_database_names_its_variable(name):
    with pytest.raises(SettingsError, match="MONGO_DB"):
        connection.connect("mongodb://localhost", name)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://a:p@h/", "mongodb://a:***@h/"),
        ("mongodb://a:p:q@r@h/?x=1", "mongodb://a:***@h/?x=1"),
        ("mongodb://h1,h2/?replicaSet=rs", "mongodb://h1,h2/?replicaSet=rs"),
        ("mongodb+srv://a:p@h/db", "mongodb+srv://a:***@h/db"),
        (
            "mongodb://h/?tlsCertificateKeyFilePassword=p&a=b",
            "mongodb://h/?tlsCertificateKeyFilePassword=***&a=b",
        ),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:p",
            "mongodb://h/?authMechanismProperties=***",
        ),
    ],
)
def test_passwords_are_never_shown(uri, shown):
    assert connection.redacted(uri) == shown


def test_instants_come_back_aware_and_equal(db):
    instant = now()

    db["instants"].insert_one({"_id": 1, "at": instant})

    assert db["instants"].find_one({"_id": 1})["at"] == instant
    assert db["instants"].find_one({"_id": 1})["at"].tzinfo is UTC


def test_a_timeout_in_the_uri_wins_and_durability_is_ours(mongo_uri):
    db = connection.connect(f"{mongo_uri}&serverSelectionTimeoutMS=123&w=0", "vigia")

    assert db.client.options.server_selection_timeout == 0.123
    assert db.write_concern.document == {"w": "majority", "j": True, "wtimeout": 10_000}
    connection.close(db)


def test_a_server_that_is_not_there_is_unavailable_within_three_seconds():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        db = connection.connect(f"mongodb://127.0.0.1:{free.getsockname()[1]}/", "vigia")

    begun = time.monotonic()
    with pytest.raises(UnavailableError, match="refused"):
        PredictionStore(db).get("a")

    assert time.monotonic() - begun < 3
    assert not connection.ping(db)
    connection.close(db)


def test_a_server_that_answers_can_take_writes(db):
    assert connection.ping(db)


def test_a_server_that_steps_down_is_unavailable_and_other_errors_pass_through():
    with pytest.raises(UnavailableError, match="primary"), connection.translated():
        raise OperationFailure("shutting down", 91)
    with pytest.raises(OperationFailure), connection.translated():
        raise OperationFailure("bad query", 2)


def test_a_document_that_mongodb_refuses_is_not_taken_for_a_duplicate(db):
    db.create_collection("predictions", validator={"model": {"$type": "string"}})

    with pytest.raises(BulkWriteError):
        PredictionStore(db).add_many([{"_id": "a", "model": "songs"}, {"_id": "b", "model": 1}])

    assert PredictionStore(db).get("a") is not None
