"""One person's rows: shown, held, erased; and which versions learnt from them. Light.

An erasure is noted first and carried out then. Rows that are still in a spool meanwhile are found when they
are stored, by whichever process stores them: it looks whether one of the people in its batch has been erased
since. So nothing comes back, whatever is killed in between.
"""

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlops.aside import scrub
from mlops.record import Document
from mlops.redaction import Redaction
from mlops.registry import Registry
from mlops.sealing import Sealing
from utils.errors import ConflictError, InvalidRowsError, VigiaError
from utils.mongo.predictions import PredictionStore
from utils.mongo.subjects import SubjectStore
from utils.time import now

log = logging.getLogger(__name__)

MAX_ID = 1_000


@dataclass(frozen=True)
class People:
    """Who is who in the log: forms of a name, and the digest under which an erasure is kept."""

    key: bytes
    redaction: Redaction

    def forms(self, subject: str) -> list[str]:
        """Return the texts under which a person may be logged. Raises InvalidRowsError for none."""
        if not subject or len(subject) > MAX_ID or "\0" in subject:
            raise InvalidRowsError(f"A subject is a text of 1 to {MAX_ID} characters.")
        return self.redaction.forms(subject)

    def digest(self, form: str) -> str:
        """Return what is kept of a person's name."""
        return hmac.new(self.key, form.encode("utf-8", "backslashreplace"), hashlib.sha256).hexdigest()


class Subjects:
    """Shows, holds and erases people's rows.

    Parameters
    ----------
    store : SubjectStore
        Their rows and what is kept of them.
    registry : Registry
        Versions, for which of them learnt from whom.
    people : People
        Who is who.
    folder : Path
        The spools of this machine.
    sealing : Sealing
        Opens what is kept encrypted, for an export.
    """

    def __init__(
        self, store: SubjectStore, registry: Registry, people: People, folder: Path, sealing: Sealing
    ) -> None:
        self._sealing = sealing
        self._store = store
        self._registry = registry
        self._people = people
        self._folder = folder

    def export(self, subject: str) -> dict[str, Any]:
        """Return all that is logged of a person, with labels, and the versions that learnt from it."""
        forms = self._people.forms(subject)
        rows = [self._sealing.document(row) for row in self._store.rows(forms)]
        ids = [row["_id"] for row in rows]
        labels = self._store.labels(ids)
        return {
            "subject": subject,
            "at": now(),
            "predictions": [
                {"prediction_id": row.pop("_id"), **row, "label": labels.get(one)}
                for one, row in zip(ids, rows, strict=True)
            ],
            "versions": self._learnt(ids),
            "hold": self._hold(forms),
        }

    def erase(self, subject: str, by: str) -> dict[str, Any]:
        """Erase a person; returns counts and the versions that learnt from the rows.

        Raises
        ------
        ConflictError
            If the rows are held; names the reason.
        UnavailableError
            While MongoDB is away; asked again, it goes on.
        """
        forms, at = self._people.forms(subject), now()
        for form in forms:
            if not self._store.mark_erased(self._people.digest(form), at, by):
                raise ConflictError(_held(self._hold(forms) or {}))
        rows = self._store.rows(forms)
        versions = self._learnt([row["_id"] for row in rows if row["at"] <= at])
        labels = self._store.labels([row["_id"] for row in rows])
        ids = self._store.delete(forms, at)
        self._store.delete_copies(forms)
        self._store.count_erased(self._people.digest(forms[0]), len(ids))
        n_files = sum(scrub(self._folder, form) for form in forms)
        log.info("a person was erased by %s: %d rows, %d files", by, len(ids), n_files)
        return {
            "erased_at": at,
            "n_predictions": len(ids),
            "n_labels": len(labels),
            "n_files": n_files,
            "versions": versions,
        }

    def hold(self, subject: str, reason: str, by: str) -> dict[str, Any]:
        """Keep a person's rows, whatever is asked and however old they get, until ``release``."""
        if not reason.strip():
            raise InvalidRowsError("Why are the rows held? A hold needs a reason.")
        forms = self._people.forms(subject)
        hold: Document = {"reason": reason.strip()[:1_000], "by": by, "at": now()}
        for form in forms:
            self._store.hold(self._people.digest(form), hold)
        ids = [row["_id"] for row in self._store.rows(forms)]
        self._store.copy(forms, ids)
        return {**hold, "n_predictions": len(ids)}

    def held(self, subject: str) -> dict[str, Any] | None:
        """Return why, since when and by whom a person's rows are held; None where they are not."""
        return self._hold(self._people.forms(subject))

    def release(self, subject: str) -> None:
        """End a hold; retention and erasure reach the rows again."""
        forms = self._people.forms(subject)
        for form in forms:
            self._store.hold(self._people.digest(form), None)
        self._store.delete_copies(forms)

    def _hold(self, forms: Sequence[str]) -> Document | None:
        kept = self._store.known([self._people.digest(form) for form in forms])
        return next((one["hold"] for one in kept if one.get("hold")), None)

    def _learnt(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the versions among whose rows these predictions are, with how many."""
        wanted, found = set(ids), []
        for model in self._registry.models() if ids else ():
            for entry in self._registry.versions(model):
                whose: dict[str, Any] = {"model": model, "version": entry["version"]}
                try:
                    n_rows = len(wanted.intersection(self._registry.learnt_from(model, entry["version"])))
                except VigiaError as error:
                    # Nobody can tell any more; that must not keep the rows from going.
                    found.append(whose | {"n_rows": None, "problem": error.detail})
                else:
                    found += [whose | {"n_rows": n_rows}] if n_rows else []
        return found


class MindfulStore:
    """Stores predictions, and takes out again those of people who were erased while they waited."""

    def __init__(self, predictions: PredictionStore, subjects: SubjectStore, people: People) -> None:
        self._predictions = predictions
        self._subjects = subjects
        self._people = people

    def add_many(self, documents: Sequence[Document]) -> int:
        """Store all that is not stored yet and return how many that were; see ``mlops.shipping.Store``."""
        n_stored = self._predictions.add_many(documents)
        # After storing, not before: an erasure that is noted later deletes what is stored by then.
        people = {one["subject"] for one in documents if one.get("subject") is not None}
        if people:
            self._look_after({self._people.digest(one): one for one in people})
        return n_stored

    def _look_after(self, people: dict[str, str]) -> None:
        for kept in self._subjects.known(people.keys()):
            subject = people[kept["_id"]]
            if kept.get("hold"):
                ids = [row["_id"] for row in self._subjects.rows([subject])]
                self._subjects.copy([subject], ids)
            elif isinstance(kept.get("erased_at"), datetime):
                self._subjects.delete([subject], kept["erased_at"])


def _held(hold: Document) -> str:
    since = f" since {hold['at']:%Y-%m-%d}" if "at" in hold else ""
    return f"These rows are held{since} and stay: {hold.get('reason', 'no reason is known')}"
