"""One answered request as it is kept in the spool, and as the documents it becomes in MongoDB.

The request thread pays for ``encode``: one pass of msgspec over what it has at hand, names once a request and
values row by row. ``documents`` runs in the shipper. What BSON cannot hold is changed on the way, so that no
answer is refused by the log:

=======================================  ================================================================
integer beyond 64 bits                   the nearest float in ``values`` and ``predictions``, as a model
                                         reads it; its digits elsewhere, and where no float is that large
NaN and infinities                       kept as they are: BSON has them (JSON has not)
NumPy scalars                            the plain value
dates, times without zone, ``Decimal``   text; ISO 8601 where it is an instant
text with half a surrogate pair          the half as an escape: ``\\ud800``
anything else, lists and objects too     its ``str``
NUL in the name of a feature             U+FFFD
subjects                                 text, always: people are asked for by text
=======================================  ================================================================

Stays away from MongoDB itself, and from how rows are checked and scored.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from utils.errors import VigiaError
from utils.mongo.shape import STAMP

Storable = None | bool | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float | str
Document = dict[str, Any]


class UnreadableRecordError(VigiaError):
    """Bytes from a spool that are no record; a damaged disk, or another version of this program."""

    code = "unreadable_record"
    title = "Unreadable record"


class LoggedRequest(msgspec.Struct, array_like=True, frozen=True):
    """One answered request. Each sequence has one item a row, in the order of the rows.

    Spools outlive upgrades of this program: new fields go to the end and have a default.

    Attributes
    ----------
    request_id, model, version : str
        Which request, and who answered.
    at : datetime
        When it was answered; aware, UTC.
    served_by : str
        ``compiled`` or ``sklearn``.
    latency_ms : float
        How long the answer took, in milliseconds.
    names : sequence of str
        The features, in spec order.
    values : sequence of sequences
        For each row the value of each feature; missing is None.
    ids : sequence of str
        Prediction ids.
    predictions : sequence
        Labels or values.
    probabilities : sequence of float, optional
        Of the positive class (two classes) or of the predicted one (more).
    warnings : sequence of sequences, optional
        What is odd about each row: objects of texts, or structs.
    subjects : sequence, optional
        Whom each row is about.
    kept : dict of sequences, optional
        By name, further fields that are kept and never scored, such as the spec's ``id``.
    """

    request_id: str
    model: str
    version: str
    at: datetime
    served_by: str
    latency_ms: float
    names: Sequence[str]
    values: Sequence[Sequence[Storable]]
    ids: Sequence[str]
    predictions: Sequence[Storable]
    probabilities: Sequence[float | None] | None = None
    warnings: Sequence[Sequence[Any]] | None = None
    subjects: Sequence[Storable] | None = None
    kept: Mapping[str, Sequence[Storable]] | None = None


def encode(record: LoggedRequest) -> bytes:
    """Return ``record`` as bytes for the spool; takes any value (see the module for what it becomes)."""
    try:
        return _encoder.encode(record)
    except (OverflowError, UnicodeEncodeError):
        fields = dict(zip(_FIELDS, msgspec.structs.astuple(record), strict=True))
        return _encoder.encode(list(_made_storable(fields).values()))


def decode(payload: bytes) -> LoggedRequest:
    """Return what ``encode`` made ``payload`` of, every value as BSON can hold it.

    Raises
    ------
    UnreadableRecordError
        If ``payload`` is no record.
    """
    try:
        return _decoder.decode(payload)
    except msgspec.ValidationError:
        return _decode_examined(payload)
    except msgspec.DecodeError as error:
        raise UnreadableRecordError(f"A record of the spool cannot be read: {error}.") from error


def documents(record: LoggedRequest, spool: str, seq: int) -> list[Document]:
    """Return the documents of MongoDB for ``record``, one a row.

    Parameters
    ----------
    record : LoggedRequest
        From ``decode``.
    spool : str
        Id of the spool it comes from.
    seq : int
        Number of its first row there; the rows count up from it.
    """
    shared = {
        "request_id": record.request_id,
        "model": record.model,
        "version": record.version,
        "at": record.at,
        "latency_ms": record.latency_ms,
        "served_by": record.served_by,
        "spool": spool,
        **STAMP,
    }
    names = _storable_names(record.names)
    return [
        {
            "_id": prediction_id,
            **shared,
            "seq": seq + row,
            "row": row,
            "features": dict(zip(names, values, strict=True)),
            "prediction": prediction,
            "probability": probability,
            "warnings": list(map(_warning, warnings)),
            "subject": None if subject is None else str(subject),
            **kept,
        }
        for row, (prediction_id, values, prediction, probability, warnings, subject, kept) in enumerate(
            zip(*_columns(record), strict=False)
        )
    ]


def _columns(record: LoggedRequest) -> tuple[Any, ...]:
    return (
        record.ids,
        record.values,
        record.predictions,
        record.probabilities or repeat(None),
        record.warnings or repeat(()),
        record.subjects or repeat(None),
        repeat({}) if not record.kept else _kept_by_row(record.kept),
    )


def _kept_by_row(kept: Mapping[str, Sequence[Storable]]) -> list[Document]:
    names = _storable_names(list(kept))
    return [{"kept": dict(zip(names, row, strict=True))} for row in zip(*kept.values(), strict=True)]


def _storable_names(names: Sequence[str]) -> Sequence[str]:
    return [_storable_name(name) for name in names] if "\0" in "".join(names) else names


def _storable_name(name: str) -> str:
    return name.replace("\0", "\ufffd")


def _decode_examined(payload: bytes) -> LoggedRequest:
    try:
        fields = dict(zip(_FIELDS, msgspec.msgpack.decode(payload), strict=True))
        return msgspec.convert(list(_made_storable(fields).values()), LoggedRequest)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise UnreadableRecordError(f"A record of the spool cannot be read: {error}.") from error


def _made_storable(fields: Document) -> Document:
    """Return the fields of a record with every value in a form that both msgpack and BSON have."""
    changed = dict(fields)
    for name, (depth, leaf) in _LEAVES.items():
        changed[name] = _at_depth(fields[name], depth, leaf)
    return changed


def _at_depth(value: Any, depth: int, leaf: Callable[[Any], Any]) -> Any:
    """Apply ``leaf`` to what lies ``depth`` sequences (or objects) deep."""
    if value is None and depth:
        return None
    if depth == 0:
        return leaf(value)
    if isinstance(value, Mapping):
        return {_text(name): _at_depth(item, depth - 1, leaf) for name, item in value.items()}
    return [_at_depth(item, depth - 1, leaf) for item in value]


def storable(value: Any) -> Storable:
    """Return a value of a row; a number stays a number where it can."""
    value = _plain(value)
    if not isinstance(value, int) or _MIN_INT <= value <= _MAX_INT:
        return _exact(value)
    try:
        return float(value)
    except OverflowError:
        return _digits(value)


def _exact(value: Any) -> Storable:
    """Return a value that may name somebody: no digit changes."""
    value = _plain(value)
    if isinstance(value, int) and not _MIN_INT <= value <= _MAX_INT:
        return _digits(value)
    return value if value is None or isinstance(value, bool | int | float) else _text(value)


def _digits(value: int) -> str:
    # Python writes no decimals for numbers of thousands of digits.
    return str(value) if value.bit_length() < 4_096 else hex(value)


def _warning(value: Any) -> dict[str, str] | str:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {_storable_name(_text(name)): _text(item) for name, item in value.items()}
    return _text(value)


def _text(value: Any) -> str:
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(value: Any) -> Any:
    """Return the Python value of a NumPy scalar, anything else as it is."""
    if getattr(value, "ndim", None) != 0:
        return value
    plain = value.item()
    return value if type(plain) is type(value) else plain  # a long double has no Python value


def _unknown_to_msgspec(value: Any) -> Any:
    plain = _plain(value)
    return _text(value) if plain is value else plain


_MIN_INT, _MAX_INT = -(2**63), 2**63 - 1
_FIELDS = LoggedRequest.__struct_fields__
# How deep the values of a field lie, and what becomes of each.
_LEAVES: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "request_id": (0, _text),
    "model": (0, _text),
    "version": (0, _text),
    "served_by": (0, _text),
    "names": (1, _text),
    "values": (2, storable),
    "ids": (1, _text),
    "predictions": (1, storable),
    "probabilities": (1, storable),
    "warnings": (2, _warning),
    "subjects": (1, _exact),
    "kept": (2, _exact),
}
_encoder = msgspec.msgpack.Encoder(enc_hook=_unknown_to_msgspec)
_decoder = msgspec.msgpack.Decoder(LoggedRequest)
