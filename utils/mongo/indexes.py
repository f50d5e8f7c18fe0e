"""The indexes of all collections, made at start and kept in step with the settings.

Each index on ``predictions`` costs 1 to 3 µs of mongod's time a row, beside 9 µs for the row itself; so there
is none by request id: who looks for a request knows about when it was made.
"""

from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import OperationFailure

from utils.mongo.connection import Database, translated

DAY_S = 86_400
REJECTIONS_DAYS = 30  # samples of refused rows help while somebody looks for the cause
JOB_RUNS_DAYS = 400  # longer than a job that is due once a year
CLAIMS_DAYS = 1  # for so long an Idempotency-Key is known
NO_COLLECTION, NO_INDEX = 26, 27

INDEXES: dict[str, list[IndexModel]] = {
    "predictions": [
        # With the version in it, traffic and counts are answered from the index alone.
        IndexModel([("model", ASCENDING), ("at", ASCENDING), ("version", ASCENDING)]),
        IndexModel([("spool", ASCENDING), ("seq", ASCENDING)]),
        # Few rows have warnings, and those are what people look for.
        IndexModel(
            [("model", ASCENDING), ("at", DESCENDING)],
            name="with_warnings",
            partialFilterExpression={"warnings.0": {"$exists": True}},
        ),
        IndexModel("subject", partialFilterExpression={"subject": {"$type": "string"}}),
    ],
    # Not "at" alone: that one is made with an expiry, and MongoDB takes only one of the same keys.
    "labels": [IndexModel([("at", ASCENDING), ("_id", ASCENDING)])],
    "rejections": [IndexModel([("model", ASCENDING), ("at", ASCENDING)])],
    "drift_counts": [
        # Traffic is answered from the index alone: the documents hold the counts of every feature.
        IndexModel(
            [("model", ASCENDING), ("hour", ASCENDING), ("version", ASCENDING), ("n_rows", ASCENDING)],
            name="traffic",
        ),
    ],
    "drift_days": [
        # Which days are kept, and of how many rows, is answered from the index alone.
        IndexModel([("model", ASCENDING), ("version", ASCENDING), ("day", ASCENDING), ("n_rows", ASCENDING)]),
    ],
    "drift_references": [IndexModel([("model", ASCENDING), ("seq", ASCENDING)], unique=True)],
    "drift_reports": [IndexModel([("model", ASCENDING), ("window_end", DESCENDING)])],
    "quality_reports": [IndexModel([("model", ASCENDING), ("window_end", DESCENDING)])],
    "shadow_reports": [IndexModel([("model", ASCENDING), ("window_end", DESCENDING)])],
    "experiments": [IndexModel([("model", ASCENDING), ("at", DESCENDING)])],
    "training_jobs": [IndexModel([("model", ASCENDING), ("created_at", DESCENDING)])],
    "alerts": [
        # Two clocks that see the same drift at once open one alert: the second insert fails.
        IndexModel(
            [("model", ASCENDING), ("key", ASCENDING)],
            name="one_open",
            unique=True,
            partialFilterExpression={"state": "open"},
        ),
        IndexModel([("model", ASCENDING), ("opened_at", DESCENDING)]),
    ],
    "held_predictions": [IndexModel("subject")],
    "model_versions": [IndexModel([("model", ASCENDING), ("version", ASCENDING)], unique=True)],
    "model_history": [IndexModel([("model", ASCENDING), ("seq", ASCENDING)], unique=True)],
    # The library limits makes these as well, but not if MongoDB is away at the first request.
    "rate_counters": [IndexModel("expireAt", expireAfterSeconds=0)],
    "rate_windows": [IndexModel("expireAt", expireAfterSeconds=0)],
    "job_runs": [
        IndexModel([("job", ASCENDING), ("due_at", ASCENDING)], unique=True),
        IndexModel(
            [("state", ASCENDING), ("due_at", ASCENDING)], partialFilterExpression={"state": "running"}
        ),
    ],
}


def ensure(db: Database, retention_days: int | None) -> None:
    """Make missing indexes and set how long documents are kept. May run in many processes at once.

    Parameters
    ----------
    retention_days : int or None
        Predictions, labels and rejections go after so many days; with None predictions and labels are kept.

    Raises
    ------
    UnavailableError
        If MongoDB does not answer.
    """
    with translated():
        for name, indexes in INDEXES.items():
            db[name].create_indexes(indexes)
        _keep(db, "predictions", "at", retention_days)
        _keep(db, "labels", "at", retention_days)
        _keep(db, "rejections", "at", min(retention_days or REJECTIONS_DAYS, REJECTIONS_DAYS))
        _keep(db, "job_runs", "due_at", JOB_RUNS_DAYS)
        _keep(db, "claims", "at", CLAIMS_DAYS)


def _keep(db: Database, collection: str, field: str, days: int | None) -> None:
    """Have the documents of ``collection`` go ``days`` after ``field``, or stay for ever with None."""
    if days is None:
        _unless((NO_INDEX, NO_COLLECTION), db[collection].drop_index, "retention")
        return
    change = {"name": "retention", "expireAfterSeconds": days * DAY_S}
    if not _unless((NO_INDEX, NO_COLLECTION), db.command, "collMod", collection, index=change):
        db[collection].create_index(field, name="retention", expireAfterSeconds=days * DAY_S)


def _unless(codes: tuple[int, ...], command: Any, *arguments: Any, **options: Any) -> bool:
    """Run ``command``; return False where it fails with one of ``codes``."""
    try:
        command(*arguments, **options)
    except OperationFailure as error:
        if error.code not in codes:
            raise
        return False
    return True
