"""Claims on keys: who is first, who waits, and what remains when a process is killed or MongoDB is away."""

import pytest

from mlops import once
from mlops.once import Once
from utils import claims
from utils.claims import ClaimFile
from utils.errors import ConflictError, InProgressError, UnavailableError
from utils.mongo import claims as stored_claims
from utils.mongo import connection, indexes
from utils.mongo.claims import ClaimStore
from utils.time import id_origin, prediction_ids


class Line:
    """The real store behind a line that can be cut."""

    def __init__(self, store):
        self.store = store
        self.is_cut = False

    def __call__(self):
        if self.is_cut:
            raise UnavailableError("MongoDB does not answer.")
        return self.store


@pytest.fixture
def line(db, monkeypatch):
    monkeypatch.setattr(stored_claims, "TIMEOUT_S", 30)  # on a busy machine as well
    return Line(ClaimStore(db))


@pytest.fixture
def machine(tmp_path, line):
    """Make the keys of a process on a named machine."""
    made = []

    def make(name="one"):
        made.append(Once(ClaimFile(tmp_path / f"{name}.db"), line))
        return made[-1]

    yield make
    for keys in made:
        keys.close()


@pytest.fixture
def no_lease(monkeypatch):
    monkeypatch.setattr(once, "LEASE_S", 0.0)


def drawn(turn):
    token = id_origin.set(turn.origin)
    found = prediction_ids(2) + prediction_ids(1)
    id_origin.reset(token)
    return found


@pytest.mark.parametrize("other", ["one", "two"])
def test_what_is_done_is_done_for_all_processes_and_machines(machine, other):
    turn = machine().begin("k", b"body")
    machine().finish(turn, b"answer")

    assert machine(other).begin("k", b"body").outcome == b"answer"
    with pytest.raises(ConflictError):
        machine(other).begin("k", b"else")


@pytest.mark.parametrize("other", ["one", "two"])
def test_who_comes_while_the_first_is_at_it_is_told_to_ask_again(machine, other):
    machine().begin("k", b"body")

    with pytest.raises(InProgressError) as caught:
        machine(other).begin("k", b"body")
    assert caught.value.retry_after_s == 1


@pytest.mark.parametrize("other", ["one", "two"])
def test_what_a_killed_process_began_is_done_again_under_the_same_ids(machine, no_lease, other):
    killed = machine().begin("k", b"body")
    heir = machine(other).begin("k", b"body")

    assert heir.outcome is None
    assert drawn(heir) == drawn(killed)
    assert len(set(drawn(heir))) == 3


def test_what_came_to_nothing_may_come_again_as_something_else(machine):
    machine().give_up(machine().begin("k", b"body"))

    assert machine("two").begin("k", b"else").outcome is None


def test_without_mongodb_one_machine_goes_on_by_itself(machine, line):
    line.is_cut = True
    turn = machine().begin("k", b"body")
    machine().finish(turn, b"answer")

    assert machine().begin("k", b"body").outcome == b"answer"
    with pytest.raises(ConflictError):
        machine().begin("k", b"else")
    line.is_cut = False
    assert machine().begin("k", b"body").outcome == b"answer"


def test_what_was_answered_before_an_outage_keeps_its_ids(machine, line):
    turn = machine().begin("k", b"body")
    machine().finish(turn, b"answer")
    line.is_cut = True

    assert drawn(machine().begin("k", b"body")) == drawn(turn)


def test_an_outcome_that_mongodb_did_not_take_is_kept_here(machine, line):
    keys = machine()
    turn = keys.begin("k", b"body")
    line.is_cut = True
    keys.finish(turn, b"answer")

    assert machine().begin("k", b"body").outcome == b"answer"


def test_mongodb_is_not_asked_again_at_once_while_it_is_away(machine, line, monkeypatch, caplog):
    line.is_cut = True
    keys = machine()
    for name in "abc":
        keys.finish(keys.begin(name, b"body"), b"answer")
    line.is_cut = False
    keys.begin("d", b"body")

    assert line.store._claims.count_documents({}) == 0
    assert caplog.text.count("this machine only") == 1


def test_a_file_forgets_after_a_day(tmp_path, monkeypatch):
    file = ClaimFile(tmp_path / "claims.db")
    file.claim("k", "a", b"body", 5)
    file.finish("k", "a", b"answer")
    monkeypatch.setattr(claims, "KEPT_S", 0)

    assert file.claim("k", "b", b"else", 5).owner == "b"
    file.close()


def test_mongodb_forgets_after_a_day(db):
    indexes.ensure(db, None)

    assert db["claims"].index_information()["retention"]["expireAfterSeconds"] == 86_400


def test_a_store_that_does_not_answer_is_not_waited_for(tmp_path):
    away = connection.connect("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=60000", "nowhere")
    keys = Once(ClaimFile(tmp_path / "claims.db"), lambda: ClaimStore(away))

    assert not keys.begin("k", b"body").is_shared
    keys.close()
    connection.close(away)


def test_a_file_that_cannot_be_written_is_unavailable(tmp_path):
    (tmp_path / "claims.db").mkdir()

    with pytest.raises(UnavailableError, match="cannot be kept"):
        ClaimFile(tmp_path / "claims.db").claim("k", "a", b"body", 5)
