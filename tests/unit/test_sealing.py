"""Values that are kept encrypted: opened by who holds the key, by nobody else, and never moved or changed."""

import base64
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.record import LoggedRequest, decode, documents, encode
from mlops.redaction import Redaction
from mlops.sealing import HIDDEN, SealedError, Sealing
from model.columns import RowWarning
from utils.errors import SettingsError
from utils.time import now

KEY, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
SEALING = Sealing(("income", "people/word"), (KEY,))
NOTHING = Redaction((), lambda: b"")
plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()


def record(model="people", **changes):
    fields = {"names": ("income", "word", "age"), "values": [(1234.5, "marker-word", 31)]}
    fields |= {"ids": ["a"], "predictions": [1]} | changes
    return LoggedRequest("r", model, "1", now(), "compiled", 0.2, **fields)


@given(plain)
def test_a_value_comes_back_as_it_was(value):
    sealed = SEALING.seal("income", value)

    assert SEALING.open("income", sealed) == value
    assert type(SEALING.open("income", sealed)) is type(value)
    assert (sealed is None) is (value is None)


def test_equal_values_do_not_look_alike():
    assert len({SEALING.seal("income", 1) for _ in range(100)}) == 100


def test_what_is_kept_has_nothing_of_the_value_and_the_rest_as_it_was():
    about_both = [RowWarning("unseen", "word", "'marker-word' is new"), RowWarning("range", "age", "much")]

    sealed = SEALING.apply(record(warnings=[about_both], kept={"ticket": ["T-1"]}))

    payload = encode(sealed)
    [document] = documents(decode(payload), "s", 0)
    assert b"marker-word" not in payload
    assert msgspec.msgpack.encode(1234.5)[1:] not in payload
    assert [one["detail"] for one in document["warnings"]] == [HIDDEN, "much"]
    assert (document["features"]["age"], document["kept"]) == (31, {"ticket": "T-1"})
    assert SEALING.document(document)["features"] == {"income": 1234.5, "word": "marker-word", "age": 31}


def test_a_field_may_be_sealed_for_one_model_only():
    other, own = SEALING.apply(record("songs")), record()

    assert other.values[0][1:] == ["marker-word", 31]
    assert Sealing().apply(own) == Sealing((), (KEY,)).apply(own)


def test_the_id_that_a_spec_names_may_be_sealed():
    sealed = Sealing(("ticket",), (KEY,)).apply(record(kept={"ticket": ["T-1", None]}))

    assert sealed.kept["ticket"][0].startswith("vigia1:")
    assert sealed.kept["ticket"][1] is None


def test_a_value_that_was_moved_or_changed_is_refused():
    sealed = SEALING.seal("income", 1)
    changed = sealed[:-2] + ("A" if sealed[-2] != "A" else "B") + sealed[-1]

    for name, value in (("word", sealed), ("income", changed)):
        with pytest.raises(SealedError, match="was changed since"):
            SEALING.open(name, value)


def test_after_a_rotation_old_values_are_opened_and_new_ones_need_the_new_key():
    rotated = Sealing(SEALING.fields, (OTHER, KEY))

    assert rotated.open("income", SEALING.seal("income", 7)) == 7
    with pytest.raises(SealedError, match="not in ENCRYPTION_KEYS"):
        SEALING.open("income", rotated.seal("income", 7))


def test_texts_of_other_fields_that_look_sealed_stay_as_they_came():
    for text in ("vigia1:", "vigia1:00000000:AAAA", SEALING.seal("income", 1)):
        assert SEALING.open("age", text) == text


def test_what_was_sealed_is_opened_when_the_field_is_sealed_no_more():
    assert Sealing((), (KEY,)).open("income", SEALING.seal("income", 7)) == 7


def test_other_processes_get_the_keys_and_texts_of_it_do_not_show_them():
    SEALING.seal("income", 1)

    assert pickle.loads(pickle.dumps(SEALING)).open("income", SEALING.seal("income", 7)) == 7
    assert KEY not in repr(SEALING)


@pytest.mark.parametrize("keys", [(), ("no base64!",), (KEY, "c2hvcnQ=")])
def test_keys_that_cannot_be_used_stop_the_start_and_are_not_shown(keys):
    with pytest.raises(SettingsError, match=r"^ENCRYPTION_KEYS: ") as caught:
        Sealing(("income",), keys)

    assert not any(key in caught.value.detail for key in keys)


class Spec:
    """What is looked at of a spec."""

    name, features, id, subject = "people", {"income": None, "word": None}, "ticket", "person"


@pytest.mark.parametrize(
    ("field", "words"),
    [("incom", "no model has"), ("people/incom", "no model has"), ("person", "subject"), ("word", "REDACT")],
)
def test_a_field_that_is_none_or_is_needed_otherwise_stops_the_start(field, words):
    redaction = Redaction(["word:hash"], lambda: b"")

    with pytest.raises(SettingsError, match=rf"^ENCRYPT_FIELDS: .*{words}"):
        Sealing((field,), (KEY,)).check([Spec], redaction)


@pytest.mark.parametrize("field", ["income", "people/word", "ticket", "elsewhere/anything"])
def test_fields_of_a_spec_and_of_models_that_are_not_here_are_taken(field):
    assert Sealing((field,), (KEY,)).check([Spec], NOTHING).fields == (field,)
