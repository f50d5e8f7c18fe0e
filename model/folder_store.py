"""Versions as files of a folder, for pipelines that have no MongoDB: ``manifest.json``, and a file a part.

A folder holds one version. It is signed and verified as one in MongoDB.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from model.artifact import Manifest
from utils.errors import IntegrityError, NotFoundError

MANIFEST = "manifest.json"


class FolderStore:
    """A store for ``model.versions.Versions``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def next_version(self, model: str) -> str:
        """Return "1": another version is another folder."""
        return "1"

    def add(self, model: str, manifest: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        """Write a version over what is there; the manifest comes last, so half of one is never read."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / MANIFEST).unlink(missing_ok=True)
        for name, content in parts.items():
            (self._folder / name).write_bytes(content)
        (self._folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))

    def manifest(self, model: str, version: str) -> dict[str, Any]:
        """Return the manifest, unchecked.

        Raises
        ------
        NotFoundError
            If the folder holds no version.
        IntegrityError
            If it is none that this program wrote.
        """
        try:
            content = (self._folder / MANIFEST).read_bytes()
            return msgspec.json.decode(content, type=Manifest).document()
        except FileNotFoundError:
            raise NotFoundError(f"{self._folder} holds no version: there is no {MANIFEST}.") from None
        except msgspec.DecodeError as error:
            raise IntegrityError(f"{self._folder / MANIFEST} cannot be read: {error}.") from None

    def part(self, model: str, version: str, name: str) -> bytes:
        """Return the bytes of a part, unchecked. Raises IntegrityError if there is none."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise IntegrityError(f"{self._folder} lacks the part {name}.") from None
