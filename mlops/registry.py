"""The versions of all models and who of them answers: add, load, promote, roll back.

Light: loading a compiled version imports neither scikit-learn nor pandas. What a version is, and how it is
verified, is in ``model.versions``; who was champion when, in the history.
"""

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from model.artifact import Manifest, signing_key
from model.versions import LoadedVersion, Versions
from utils.errors import ConflictError, Fault, InvalidRowsError, NotFoundError, VigiaError
from utils.mongo.history import HistoryStore
from utils.mongo.versions import VersionStore

if TYPE_CHECKING:
    from model.training import Trained

__all__ = ["LoadedVersion", "Registry", "signing_key"]

Entry = dict[str, Any]


class Registry:
    """All versions, and their history.

    Parameters
    ----------
    versions, history : VersionStore, HistoryStore
        Where they are kept.
    key : bytes
        What versions are signed with; see ``signing_key``.
    """

    def __init__(self, versions: VersionStore, history: HistoryStore, key: bytes) -> None:
        self._store = versions
        self._history = history
        self._versions = Versions(versions, key)

    def add(
        self,
        trained: "Trained",
        *,
        source: str = "",
        source_digest: str = "",
        learnt_from: Sequence[str] = (),
    ) -> str:
        """Store what training made as a challenger and return its version; see ``Versions.add``."""
        manifest = self._versions.add(
            trained, source=source, source_digest=source_digest, learnt_from=learnt_from
        )
        return manifest.version

    def learnt_from(self, model: str, version: str) -> list[str]:
        """Return the ids of the logged predictions that a version learnt from."""
        return self._versions.learnt_from(model, version)

    def models(self) -> list[str]:
        """Return the names of all models that have a version."""
        return self._store.models()

    def load(self, model: str, version: str) -> LoadedVersion:
        """Return a version, verified and proven on its golden rows; raises as ``Versions.load`` does."""
        return self._versions.load(model, version)

    def manifest(self, model: str, version: str) -> Manifest:
        """Return the verified manifest of a version; raises as ``Versions.manifest`` does."""
        return self._versions.manifest(model, version)

    def part(self, model: str, version: str, name: str) -> bytes:
        """Return the verified bytes of a part; raises as ``Versions.part`` does."""
        return self._versions.part(model, version, name)

    def verify(self, model: str, version: str) -> None:
        """Read every stored byte of a version and compare it with what was signed; nothing is unpickled.

        Raises
        ------
        NotFoundError, IntegrityError
            If something is not there, or not what was signed.
        """
        for name in self._versions.manifest(model, version).parts:
            self._versions.part(model, version, name)

    def champion(self, model: str) -> str | None:
        """Return the version that answers, None if the model never had a champion."""
        newest = self._history.current(model)
        return None if newest is None else str(newest["version"])

    def versions(self, model: str) -> list[Entry]:
        """Describe all versions of a model, newest first; ``problem`` says why one cannot be trusted."""
        champion = self.champion(model)
        return [self._described(model, m["version"], champion) for m in reversed(self._store.all(model))]

    def _described(self, model: str, version: str, champion: str | None) -> Entry:
        head: Entry = {"version": version, "is_champion": version == champion}
        try:
            manifest = self._versions.manifest(model, version)
        except VigiaError as error:
            return head | {"problem": error.detail}
        return head | {
            "created_at": manifest.created_at,
            "metrics": manifest.metrics,
            "cross_validation": manifest.cross_validation,
            "threshold": manifest.threshold,
            "trained_on": manifest.trained_on,
            "packages": manifest.packages,
            "not_compiled": manifest.not_compiled,
        }

    def promote(self, model: str, version: str, *, reason: str, by: str) -> Entry:
        """Make a version the champion and return its entry in the history.

        The version is loaded first, so none is promoted that could not answer. Who promotes the champion gets
        the entry that made it so.

        Raises
        ------
        NotFoundError, IntegrityError, OtherPackagesError
            If the version cannot be loaded.
        ConflictError
            If somebody else changed the champion in the meantime.
        InvalidRowsError
            If the reason has control characters: it is shown in terminals and tables.
        """
        _check_reason(reason)
        newest = self._history.current(model)
        self._versions.load(model, version)
        if newest is not None and newest["version"] == version:
            return newest
        seq = newest["seq"] if newest else 0
        return self._history.append(model, version, "promote", reason, by, expected_seq=seq)

    def rollback(self, model: str, version: str | None = None, *, reason: str, by: str) -> Entry:
        """Make an earlier champion the champion again: the one before the present where none is named.

        Earlier is every version that was champion before, also one that was rolled back itself.

        Raises as ``promote`` does, and ConflictError if there is no earlier champion or the version is
        champion now.
        """
        _check_reason(reason)
        entries = self._history.all(model)
        earlier = earlier_champions(entries)
        chosen = version if version is not None else next(iter(earlier), None)
        if chosen is None:
            raise ConflictError(f"{model} has no earlier champion to go back to.")
        if chosen not in {entry["version"] for entry in entries}:
            raise NotFoundError(f"{model} {chosen} was never champion. To make it so, promote it.")
        if chosen == entries[-1]["version"]:
            raise ConflictError(f"{model} {chosen} is champion already; a rollback goes to an earlier one.")
        self._versions.load(model, chosen)
        return self._history.append(model, chosen, "rollback", reason, by, expected_seq=entries[-1]["seq"])


def _check_reason(reason: str) -> None:
    if any(unicodedata.category(letter) == "Cc" for letter in reason):
        detail = "A reason is one line without control characters."
        raise InvalidRowsError(detail, [Fault("#/reason", "value", detail)])


def earlier_champions(entries: list[Entry]) -> list[str]:
    """Return the versions that a rollback goes back to, the next one first.

    Versions that were rolled back are no way back: after 1, 2, 3 and back to 2, the next is 1.

    >>> history = [("1", "promote"), ("2", "promote"), ("3", "promote"), ("2", "rollback")]
    >>> earlier_champions([{"version": version, "action": action} for version, action in history])
    ['1']
    """
    line: list[str] = []
    for entry in entries:
        version = entry["version"]
        if entry["action"] == "rollback" and version in line:
            line = line[: line.index(version)]
        if not line or line[-1] != version:
            line.append(version)
    return line[-2::-1]
