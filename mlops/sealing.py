"""Features that are kept encrypted: sealed before the spool, opened for those who hold a key.

What is sealed is one value of one field, as text: ``vigia1:KEY:…``, KEY telling which key it needs. AES-SIV
(RFC 5297) with a nonce of its own a value, so equal values do not look alike, however many there are; bound
to the name of its field, so none can be moved into another. Missing values stay visible.

Answers are given from the whole row. Light: without fields nothing is done.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from mlops.record import Document, LoggedRequest, storable
from mlops.redaction import Redaction
from model.spec import Spec
from utils.errors import SettingsError, VigiaError
from utils.mongo.raw_rows import Column, LoggedColumns

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES = 32
NONCE_BYTES = 16
PREFIX = "vigia1:"
SEALED = re.compile(PREFIX + r"([0-9a-f]{8}):([A-Za-z0-9_-]+={0,2})")
HIDDEN = "The value is encrypted."


class SealedError(VigiaError):
    """A value cannot be opened: its key is not there, or it was changed."""

    code = "sealed"
    title = "Encrypted value"


@dataclass(frozen=True)
class Sealing:
    """Seals fields and opens them again. May be sent to other processes.

    Parameters
    ----------
    fields : tuple of str
        ``field`` or ``model/field``; features, or the spec's ``id``.
    keys : tuple of str
        32 bytes each, in base64. The first one seals, all of them open.

    Raises
    ------
    SettingsError
        If there are fields and no key, or a key is none; never shows one.
    """

    fields: tuple[str, ...] = ()
    keys: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.fields and not self.keys:
            raise SettingsError(
                "ENCRYPTION_KEYS: ENCRYPT_FIELDS needs a key; openssl rand -base64 32 makes one."
            )
        for number, key in enumerate(self.keys, 1):
            if _bytes_of(key) is None:
                which = f"key {number} of {len(self.keys)}"
                raise SettingsError(f"ENCRYPTION_KEYS: {which} is not {KEY_BYTES} bytes in base64.")

    def __reduce__(self) -> tuple[type["Sealing"], tuple[tuple[str, ...], tuple[str, ...]]]:
        return Sealing, (self.fields, self.keys)  # ciphers cannot be sent

    def check(self, specs: Iterable[Spec], redaction: Redaction) -> "Sealing":
        """Return self unless a field is none of any model, is who a row is about, or is redacted, too.

        Raises SettingsError, as a name that is mistyped would leave its values readable.
        """
        by_name = {spec.name: spec for spec in specs}
        for one in self.fields:
            model, _, name = one.rpartition("/")
            concerned = [spec for spec in by_name.values() if model in ("", spec.name)]
            if not any(_has(spec, name) for spec in concerned) and (not model or concerned):
                raise SettingsError(f"ENCRYPT_FIELDS: no model has a field {one!r}.")
            for spec in concerned:
                _refuse_other_uses(spec, name, redaction)
        return self

    def names(self, model: str) -> frozenset[str]:
        """Return the fields of a model that are sealed."""
        if model not in self._by_model:
            named = [one.rpartition("/") for one in self.fields]
            self._by_model[model] = frozenset(name for of, _, name in named if of in ("", model))
        return self._by_model[model]

    def apply(self, record: LoggedRequest) -> LoggedRequest:
        """Return ``record`` as it may be kept."""
        sealed = self.names(record.model)
        if not sealed:
            return record
        is_sealed = [name in sealed for name in record.names]
        values = [
            [self.seal(n, v) if s else v for n, v, s in zip(record.names, row, is_sealed, strict=True)]
            for row in record.values
        ]
        kept = {
            n: [self.seal(n, v) for v in of] if n in sealed else of for n, of in (record.kept or {}).items()
        }
        warnings = [_hidden(row, sealed) for row in record.warnings] if record.warnings else None
        return msgspec.structs.replace(record, values=values, kept=kept or None, warnings=warnings)

    def seal(self, name: str, value: Any) -> str | None:
        """Return a value as it is kept; None stays None."""
        if value is None:
            return None
        key, cipher = next(iter(self._ciphers.items()))
        nonce = os.urandom(NONCE_BYTES)
        content = cipher.encrypt(msgspec.msgpack.encode(storable(value)), [_bound(name), nonce])
        return f"{PREFIX}{key}:{base64.urlsafe_b64encode(nonce + content).decode()}"

    def open(self, name: str, value: Any) -> Any:
        """Return the value that was sealed, and anything that never was as it is.

        Raises
        ------
        SealedError
            If the field is one of ours and the value cannot be opened.
        """
        found = SEALED.fullmatch(value) if isinstance(value, str) and value.startswith(PREFIX) else None
        if found is None:
            return value
        cipher = self._ciphers.get(found[1])
        content = None if cipher is None else _opened(cipher, name, found[2])
        if content is not None:
            return msgspec.msgpack.decode(content)
        if name not in self._every_name:
            return value  # somebody's own text that looks like one of ours
        why = "which is not in ENCRYPTION_KEYS" if cipher is None else "and was changed since"
        raise SealedError(f"A value of {name!r} was encrypted with the key {found[1]}, {why}.")

    def document(self, document: Document) -> Document:
        """Open what is sealed in a document of the log; changes it, and returns it."""
        for part in ("features", "kept"):
            if values := document.get(part):
                document[part] = {name: self.open(name, value) for name, value in values.items()}
        return document

    def renewed(self, document: Document) -> Document:
        """Return what changes in a stored document, so that all its sealed fields are so with the first key.

        Raises SealedError if one cannot be opened.
        """
        sealed = self.names(document["model"])
        changes: Document = {}
        for part in ("features", "kept"):
            values = document.get(part) or {}
            if any(self._is_stale(values.get(name)) for name in sealed):
                changes[part] = {n: self._sealed_anew(n, v) if n in sealed else v for n, v in values.items()}
        if changes:
            changes["warnings"] = _hidden(document.get("warnings") or [], sealed)
        return changes

    def _is_stale(self, value: Any) -> bool:
        return value is not None and not str(value).startswith(f"{PREFIX}{next(iter(self._ciphers))}:")

    def _sealed_anew(self, name: str, value: Any) -> Any:
        return self.seal(name, self.open(name, value)) if self._is_stale(value) else value

    def columns(self, table: LoggedColumns) -> LoggedColumns:
        """Return rows with what is sealed opened."""
        return replace(table, features={n: self._column(n, column) for n, column in table.features.items()})

    def _column(self, name: str, column: Column) -> Column:
        # Arrays are of numbers and truth values, and what is sealed is text.
        return [self.open(name, value) for value in column] if isinstance(column, list) else column

    @cached_property
    def _ciphers(self) -> "dict[str, AESSIV]":
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        secrets = [_bytes_of(key) or b"" for key in self.keys]
        return {_id_of(one): AESSIV(_derived(one, "fields", hashlib.sha512)) for one in secrets}

    @cached_property
    def _by_model(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _every_name(self) -> frozenset[str]:
        return frozenset(one.rpartition("/")[2] for one in self.fields)


def _bytes_of(key: str) -> bytes | None:
    try:
        found = base64.b64decode(key.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == KEY_BYTES else None


def _derived(key: bytes, use: str, digest: Any) -> bytes:
    return hmac.digest(key, f"vigia {use}".encode(), digest)


def _id_of(key: bytes) -> str:
    return _derived(key, "key id", hashlib.sha256).hex()[:8]


def _bound(name: str) -> bytes:
    # As names are stored: see ``mlops.record``.
    return name.replace("\0", "\ufffd").encode("utf-8", "backslashreplace")


def _opened(cipher: "AESSIV", name: str, text: str) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    try:
        content = base64.urlsafe_b64decode(text)
        return cipher.decrypt(content[NONCE_BYTES:], [_bound(name), content[:NONCE_BYTES]])
    except (InvalidTag, ValueError):
        return None


def _has(spec: Spec, name: str) -> bool:
    return name in spec.features or name in (spec.id, spec.subject)


def _refuse_other_uses(spec: Spec, name: str, redaction: Redaction) -> None:
    if name == spec.subject:
        hint = f"by which people are found. REDACT_FIELDS={name}:hash hides it."
        raise SettingsError(f"ENCRYPT_FIELDS: {name!r} is the subject of {spec.name}, {hint}")
    if name in redaction.names(spec.name):
        raise SettingsError(f"ENCRYPT_FIELDS: {name!r} of {spec.name} is in REDACT_FIELDS already.")


def _hidden(warnings: Sequence[Any], sealed: frozenset[str]) -> list[Any]:
    """Leave out the words of a row's warnings about sealed fields, which hold the value."""
    return [_without_words(one) if _feature(one) in sealed else one for one in warnings]


def _feature(warning: Any) -> Any:
    return warning.get("feature") if isinstance(warning, Mapping) else getattr(warning, "feature", None)


def _without_words(warning: Any) -> Any:
    if isinstance(warning, Mapping):
        return {**warning, "detail": HIDDEN}
    return msgspec.structs.replace(warning, detail=HIDDEN)
