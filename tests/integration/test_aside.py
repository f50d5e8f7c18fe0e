"""Rows set aside on one machine go when the person is erased on another."""

import json
from datetime import timedelta

import pytest

from mlops.aside import sweep
from mlops.redaction import Redaction
from mlops.subjects import People
from utils.mongo.subjects import SubjectStore
from utils.time import now

PEOPLE = People(b"key", Redaction((), lambda: b""))
AT = now()


@pytest.fixture
def subjects(db):
    return SubjectStore(db)


@pytest.fixture
def aside(tmp_path):
    """Set a row aside, as the shipper does, and return its file."""
    (tmp_path / "refused").mkdir()

    def keep(name, **document):
        path = tmp_path / "refused" / name
        path.write_text(json.dumps({"error": "too large", "document": document}, default=str))
        return path

    return keep


def swept(folder, subjects):
    n_files = sweep(folder, subjects, PEOPLE.digest)
    return n_files, {path.name for path in (folder / "refused").iterdir()}


def test_rows_of_an_erased_person_go_and_no_others(subjects, aside, tmp_path):
    aside("hers.json", subject="ana", at=AT.isoformat())
    aside("of a number.json", subject=17, at=AT.isoformat())
    aside("later.json", subject="ana", at=(AT + timedelta(days=1)).isoformat())
    aside("his.json", subject="ben", at=AT.isoformat())
    aside("nobodys.json", at=AT.isoformat())
    for person in ("ana", "17"):
        subjects.mark_erased(PEOPLE.digest(person), AT + timedelta(hours=1), "test")

    assert swept(tmp_path, subjects) == (2, {"later.json", "his.json", "nobodys.json"})


def test_what_is_held_and_what_cannot_be_read_stays(subjects, aside, tmp_path):
    aside("held.json", subject="ana", at=AT.isoformat())
    aside("torn.json").write_bytes(b"{")
    subjects.mark_erased(PEOPLE.digest("ana"), AT, "test")
    subjects.hold(PEOPLE.digest("ana"), {"reason": "case 12", "by": "test", "at": AT})

    assert swept(tmp_path, subjects) == (0, {"held.json", "torn.json"})


def test_without_anything_set_aside_there_is_nothing_to_do(subjects, tmp_path):
    assert sweep(tmp_path, subjects, PEOPLE.digest) == 0
