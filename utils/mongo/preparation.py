"""What every program does before it works on the database: quick, and safe in many processes at once."""

from utils.mongo import indexes, migrations
from utils.mongo.connection import Database


def prepare(db: Database, retention_days: int | None) -> None:
    """Make missing indexes, and note the shape of a database that nobody has used yet.

    Raises
    ------
    ConflictError
        If a newer program has changed the database in a way that this one cannot work with.
    UnavailableError
        If MongoDB does not answer.
    """
    migrations.require_known(db)
    migrations.begin(db)
    indexes.ensure(db, retention_days)
