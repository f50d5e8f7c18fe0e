"""Files of rows that were set aside on this machine: those of people who were erased go, here and elsewhere.

An erasure scrubs the machine on which it is asked for. The others learn of it from what is kept of it, a
digest of the name: enough for rows that MongoDB refused, one a file, which say whose they are. Damaged parts
of spools do not say so; in those only a name itself can be looked for.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from utils.mongo.subjects import SubjectStore

log = logging.getLogger(__name__)

# Shorter ones would be found in any file by chance.
MIN_FRAGMENT = 5


class Row(msgspec.Struct):
    """What matters of a row that was set aside."""

    subject: Any = None
    at: Annotated[datetime, Meta(tz=True)] | None = None


class Refused(msgspec.Struct):
    """A file of one row."""

    document: Row


def sweep(folder: Path, subjects: SubjectStore, digest: Callable[[str], str]) -> int:
    """Delete the rows set aside in ``folder`` of people who were erased since; return how many.

    Raises UnavailableError while MongoDB is away.
    """
    rows = {path: row for path in (folder / "refused").glob("*.json") if (row := _row(path)) is not None}
    digests = {path: digest(str(row.subject)) for path, row in rows.items()}
    erased = {one["_id"]: one["erased_at"] for one in subjects.known(set(digests.values())) if _is_final(one)}
    found = [path for path, row in rows.items() if _is_before(row, erased.get(digests[path]))]
    for path in found:
        path.unlink(missing_ok=True)
    if found:
        log.info("%d rows that were set aside here went with an erasure", len(found))
    return len(found)


def _row(path: Path) -> Row | None:
    """Return the row of a file that says whose it is, None for any other."""
    try:
        row = msgspec.json.decode(path.read_bytes(), type=Refused).document
    except (OSError, msgspec.DecodeError):
        return None
    return None if row.subject is None else row


def _is_final(kept: dict[str, Any]) -> bool:
    return isinstance(kept.get("erased_at"), datetime) and not kept.get("hold")


def _is_before(row: Row, erased_at: datetime | None) -> bool:
    return erased_at is not None and (row.at is None or row.at <= erased_at)


def scrub(folder: Path, subject: str) -> int:
    """Delete the files of ``folder`` that were set aside and name a person; return how many.

    They are rows that MongoDB refused, one a file, and damaged parts of spools, of which nobody can tell
    whose rows they hold beside: those go as a whole.
    """
    found = [path for path in (folder / "refused").glob("*.json") if _is_about(path, subject)]
    unreadable = [*(folder / "refused").glob("*.payload"), *folder.glob("*.corrupt*")]
    found += [path for path in unreadable if _mentions(path.read_bytes(), subject)]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _is_about(path: Path, subject: str) -> bool:
    content = path.read_bytes()
    try:
        return bool(msgspec.json.decode(content)["document"]["subject"] == subject)
    except (msgspec.DecodeError, KeyError, TypeError):
        return _mentions(content, subject)


def _mentions(content: bytes, subject: str) -> bool:
    """Tell whether bytes name a person, also where a page ends within the name."""
    whole = subject.encode("utf-8", "backslashreplace")
    half = len(whole) // 2
    parts = [whole, whole[:half], whole[half:]] if half >= MIN_FRAGMENT else [whole]
    if subject.isdecimal() and len(subject) < 19:
        parts += [packed for packed in [msgspec.msgpack.encode(int(subject))] if len(packed) >= MIN_FRAGMENT]
    return any(part in content for part in parts)
