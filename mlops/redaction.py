"""What the log does not get to see: fields that ``REDACT_FIELDS`` drops, hashes or masks before the spool.

Answers are given from the whole row; only what is kept of it changes. Light, as the request thread pays.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from mlops.record import LoggedRequest
from utils.errors import SettingsError

How = Literal["drop", "hash", "mask"]
HOWS: tuple[How, ...] = get_args(How)
MARK = "*"
SHOWN = 2


class Redaction:
    """Changes records as told.

    Parameters
    ----------
    fields : sequence of str
        ``field:how`` or ``model/field:how``, how being ``drop``, ``hash`` or ``mask``.
    key : callable
        Returns the key of the hashes.

    Raises
    ------
    SettingsError
        If a field cannot be read.
    """

    def __init__(self, fields: Sequence[str], key: Callable[[], bytes]) -> None:
        self._rules = dict(map(_rule, fields))
        self._key = key
        self._by_model: dict[str, dict[str, How]] = {}
        self._changes: dict[How, Callable[[Any], Any]] = {
            "drop": lambda value: None,
            "hash": self.hashed,
            "mask": _masked,
        }

    def names(self, model: str) -> frozenset[str]:
        """Return the fields of a model that the log does not show as they came."""
        return frozenset(self._of(model))

    def forms(self, subject: str) -> list[str]:
        """Return how the log may name a person: as they are, and hashed where something is."""
        return [subject, self._digest(subject)] if "hash" in self._rules.values() else [subject]

    def hashed(self, value: Any) -> str | None:
        """Return the keyed digest of a value, always the same for the same; None of nothing."""
        return None if value is None else self._digest(value)

    def _digest(self, value: Any) -> str:
        text = str(value).encode("utf-8", "backslashreplace")
        return hmac.new(self._key(), text, hashlib.sha256).hexdigest()[:32]

    def apply(self, record: LoggedRequest, subject: str | None) -> LoggedRequest:
        """Return ``record`` as it may be kept; ``subject`` is the name of the field that names people."""
        rules = self._of(record.model)
        if not rules:
            return record
        changes = {name: self._changes[how] for name, how in rules.items()}
        by_place = [changes.get(name) for name in record.names]
        values = [
            [value if change is None else change(value) for value, change in zip(row, by_place, strict=True)]
            for row in record.values
        ]
        kept = {n: list(map(changes.get(n, _same), of)) for n, of in (record.kept or {}).items()}
        subjects = record.subjects
        if subjects is not None and subject in changes:
            subjects = list(map(changes[subject], subjects))
        return msgspec.structs.replace(
            record,
            values=values,
            kept=kept or None,
            subjects=subjects,
            warnings=_without(record.warnings, changes),
        )

    def _of(self, model: str) -> dict[str, How]:
        if model not in self._by_model:
            self._by_model[model] = self._found(model)
        return self._by_model[model]

    def _found(self, model: str) -> dict[str, How]:
        named = [(key.partition("/"), how) for key, how in self._rules.items()]
        return {field or name: how for (name, _, field), how in named if not field or name == model}


def _rule(text: str) -> tuple[str, How]:
    field, _, how = text.rpartition(":")
    if not field or how not in HOWS:
        raise SettingsError(f"REDACT_FIELDS: {text!r} is not of the form field:{'|'.join(HOWS)}.")
    return field, how


def _masked(value: Any) -> str | None:
    """Return a value with letters and digits hidden but the last two.

    >>> _masked("+34 600 123 456")
    '+** *** *** *56'
    """
    if value is None:
        return None
    text = str(value)
    hidden = "".join(MARK if letter.isalnum() else letter for letter in text[:-SHOWN])
    return hidden + text[-SHOWN:] if len(text) > SHOWN else MARK * len(text)


def _without(
    warnings: Sequence[Sequence[Any]] | None, changes: Mapping[str, Any]
) -> Sequence[Sequence[Any]] | None:
    """Leave out warnings about changed fields: their words hold the value."""
    if warnings is None:
        return None
    return [[one for one in row if getattr(one, "feature", None) not in changes] for row in warnings]


def _same(value: Any) -> Any:
    return value
