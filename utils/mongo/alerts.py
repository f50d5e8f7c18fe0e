"""Alerts: at most one open for each model and key, however many clocks see its cause.

Each change is one conditional update that only one caller wins; the winner is the one who tells people. When
to open, remind and resolve is decided elsewhere.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from utils.errors import NotFoundError
from utils.mongo.connection import Database, Document, Documents, translated
from utils.mongo.shape import FIELD, STAMP

State = Literal["open", "resolved"]


class AlertStore:
    """Collections ``alerts``, and ``alert_checks`` (what the last checks found).

    A document has ``id``, ``model``, ``key`` (check and feature), ``state``, ``opened_at``, ``seen_at``,
    ``n_seen``, ``n_well`` (checks in a row that found all well), ``reminded_at`` (the last time that people
    were told, opening included), ``resolved_at``, ``acknowledged_at``, ``acknowledged_by``,
    ``silenced_until``, ``silenced_by``, ``training`` (``due_at`` and ``outcome`` of the one that it started)
    and what the check put in.
    """

    def __init__(self, db: Database) -> None:
        self._alerts = db["alerts"]
        self._checks = db["alert_checks"]

    def open_or_touch(
        self, model: str, key: str, content: Mapping[str, Any], at: datetime
    ) -> tuple[Document, bool]:
        """Open an alert, or note that the open one was seen again; return it and whether it is new.

        Parameters
        ----------
        key : str
            What is wrong where, without anything that changes from check to check: ``drift/tempo``.
        content : mapping
            Fields for those who read it; replaces those of the last time.
        """
        query = {"model": model, "key": key, "state": "open"}
        fresh = {"opened_at": at, "reminded_at": at, "resolved_at": None, "silenced_until": None}
        fresh |= {"silenced_by": None, "acknowledged_at": None, "acknowledged_by": None}
        change = {
            "$set": {**content, **STAMP, "seen_at": at, "n_well": 0},
            "$setOnInsert": fresh,
            "$inc": {"n_seen": 1},
        }
        try:
            alert = self._change(query, change, upsert=True)
        except DuplicateKeyError:  # another clock opened it between the look and the insert
            alert = self._change(query, change, upsert=True)
        assert alert is not None  # noqa: S101 (an upsert always returns a document)
        return alert, alert["n_seen"] == 1

    def note(self, model: str, key: str, is_wrong: bool, n: int) -> list[bool]:
        """Remember what a check found, and return what the last ``n`` found, this one included."""
        kept = {"found": {"$each": [is_wrong], "$slice": -n}}
        with translated():
            found = self._checks.find_one_and_update(
                {"_id": f"{model}/{key}"}, {"$push": kept}, upsert=True, return_document=ReturnDocument.AFTER
            )
        return list(found["found"]) if found else [is_wrong]

    def is_open(self, model: str, key: str) -> bool:
        """Return whether an alert of this key is open."""
        with translated():
            return (
                self._alerts.find_one({"model": model, "key": key, "state": "open"}, {"_id": 1}) is not None
            )

    def claim_reminder(self, alert_id: str, at: datetime, every: timedelta) -> bool:
        """Return whether the caller is the one to remind people now.

        Never within ``every`` of the last time, nor of one that is resolved, silenced or acknowledged.
        """
        query: Document = {"_id": ObjectId(alert_id), "state": "open", "acknowledged_at": None}
        query |= {"reminded_at": {"$lte": at - every}}
        query |= {"$or": [{"silenced_until": None}, {"silenced_until": {"$lte": at}}]}
        return self._change(query, {"$set": {"reminded_at": at}}) is not None

    def resolve(self, model: str, key: str, at: datetime, after: int = 1) -> Document | None:
        """Note that all is well; at the ``after``-th time in a row resolve the open alert and return it.

        None if none is open, another was first, or all is not well for long enough.
        """
        query = {"model": model, "key": key, "state": "open"}
        n_well = {"$add": [{"$ifNull": ["$n_well", 0]}, 1]}
        is_over = {"$gte": ["$n_well", after]}
        ended: Document = {"state": {"$cond": [is_over, "resolved", "open"]}}
        ended |= {"resolved_at": {"$cond": [is_over, at, None]}}
        alert = self._change(query, [{"$set": {"n_well": n_well}}, {"$set": ended}])
        return alert if alert is not None and alert["state"] == "resolved" else None

    def acknowledge(self, alert_id: str, by: str, at: datetime) -> Document:
        """Note that somebody looks after it; there are no more reminders."""
        return self._existing(alert_id, {"acknowledged_at": at, "acknowledged_by": by})

    def silence(self, alert_id: str, until: datetime, by: str) -> Document:
        """Have no reminders before ``until``."""
        return self._existing(alert_id, {"silenced_until": until, "silenced_by": by})

    def claim_training(self, alert_id: str, due_at: datetime) -> bool:
        """Return whether this alert may start a training for the run that was due at ``due_at``.

        An alert starts one at most; a run that another clock takes over is the same run.
        """
        query: Document = {"_id": ObjectId(alert_id)}
        unfinished = {"training.due_at": due_at, "training.outcome": None}
        query |= {"$or": [{"training": {"$exists": False}}, unfinished]}
        return self._change(query, {"$set": {"training": {"due_at": due_at, "outcome": None}}}) is not None

    def note_training(self, alert_id: str, outcome: str) -> None:
        """Keep what became of the training that an alert started."""
        self._existing(alert_id, {"training.outcome": outcome})

    def get(self, alert_id: str) -> Document | None:
        """Return one alert, None if there is none of this id."""
        with translated():
            return _shown(
                self._alerts.find_one({"_id": ObjectId(alert_id)}) if ObjectId.is_valid(alert_id) else None
            )

    def list(self, model: str | None = None, *, state: State | None = None, limit: int = 100) -> Documents:
        """Return alerts, newest first, of one model or all, in one state or all."""
        query: Document = {} if model is None else {"model": model}
        query |= {} if state is None else {"state": state}
        with translated():
            found = self._alerts.find(query).sort([("opened_at", -1), ("_id", -1)]).limit(limit)
            return [_shown_one(alert) for alert in found]

    def _existing(self, alert_id: str, fields: Document) -> Document:
        query = {"_id": ObjectId(alert_id) if ObjectId.is_valid(alert_id) else None}
        alert = self._change(query, {"$set": fields})
        if alert is None:
            raise NotFoundError(f"There is no alert {alert_id}")
        return alert

    def _change(
        self, query: Document, change: Document | Documents, *, upsert: bool = False
    ) -> Document | None:
        with translated():
            return _shown(
                self._alerts.find_one_and_update(
                    query, change, upsert=upsert, return_document=ReturnDocument.AFTER
                )
            )


def _shown(alert: Document | None) -> Document | None:
    return None if alert is None else _shown_one(alert)


def _shown_one(alert: Document) -> Document:
    """Return ``alert`` with its id as text, and without what only the database needs."""
    alert.pop(FIELD, None)
    return {"id": str(alert.pop("_id")), **alert}
