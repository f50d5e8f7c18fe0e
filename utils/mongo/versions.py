"""Stored versions of models: a manifest each, and its parts in GridFS.

Parts are written first and the manifest last, so a version that was half written is never seen. Signatures
are checked by those who read; nothing is unpickled here.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import gridfs
from bson import ObjectId
from gridfs.errors import NoFile
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from utils.errors import ConflictError, IntegrityError, NotFoundError
from utils.mongo.connection import Database, Document, translated
from utils.mongo.shape import STAMP

CHUNK_BYTES = 2**20


class VersionStore:
    """Collections ``model_versions``, ``version_numbers`` and GridFS."""

    def __init__(self, db: Database) -> None:
        self._versions = db["model_versions"]
        self._numbers = db["version_numbers"]
        self._files = db["fs.files"]
        self._bucket = gridfs.GridFSBucket(db, chunk_size_bytes=CHUNK_BYTES)

    def next_version(self, model: str) -> str:
        """Take the next number for a version of ``model``; nobody else gets the same, used or not."""
        with translated():
            taken: Any = self._numbers.find_one_and_update(
                {"_id": model}, {"$inc": {"last": 1}}, upsert=True, return_document=ReturnDocument.AFTER
            )
        return str(taken["last"])

    def add(self, model: str, manifest: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        """Store one version, whole or not at all.

        Parameters
        ----------
        manifest : mapping
            With the text ``version``; kept as it is, values and order.
        parts : mapping of str to bytes
            By name, for example ``pipeline.joblib``.

        Raises
        ------
        ConflictError
            If this version of the model is stored already.
        """
        version = str(manifest["version"])
        stored: dict[str, ObjectId] = {}
        with translated():
            try:
                for name, content in parts.items():
                    stored[name] = self._upload(model, version, name, content)
                self._versions.insert_one(
                    {"model": model, "version": version, "manifest": dict(manifest), "files": stored, **STAMP}
                )
            except DuplicateKeyError:
                self._delete(stored.values())
                raise ConflictError(f"Version {version} of model {model} is stored already") from None
            self._skip_number(model, version)

    def manifest(self, model: str, version: str) -> Document:
        """Return the manifest of one version.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        manifest: Document = self._find(model, version, "manifest")
        return manifest

    def part(self, model: str, version: str, name: str) -> bytes:
        """Return the bytes of one part, unchecked.

        Raises
        ------
        NotFoundError
            If there is no such version, or it has no such part.
        IntegrityError
            If the version has the part and GridFS lost it.
        """
        files: dict[str, ObjectId] = self._find(model, version, "files")
        if name not in files:
            raise NotFoundError(f"Version {version} of model {model} has no part {name}")
        try:
            with translated(), self._bucket.open_download_stream(files[name]) as stream:
                return bytes(stream.read())
        except (NoFile, gridfs.errors.CorruptGridFile) as error:
            raise IntegrityError(f"{name} of version {version} of model {model} is damaged") from error

    def all(self, model: str) -> list[Document]:
        """Return the manifests of all versions of ``model``, oldest first."""
        with translated():
            found = self._versions.find({"model": model}, ["manifest"]).sort("_id", 1)
            return [document["manifest"] for document in found]

    def models(self) -> list[str]:
        """Return the names of all models that have a version, sorted."""
        with translated():
            return sorted(self._versions.distinct("model"))

    def clean(self, before: datetime) -> int:
        """Delete parts uploaded before ``before`` that no version refers to; return how many.

        They are what a process leaves that is killed while it adds a version, so give it time to end.
        """
        with translated():
            used = {
                file for version in self._versions.find({}, ["files"]) for file in version["files"].values()
            }
            orphans = [file["_id"] for file in self._files.find({"uploadDate": {"$lt": before}}, ["_id"])]
            orphans = [file for file in orphans if file not in used]
            self._delete(orphans)
        return len(orphans)

    def _upload(self, model: str, version: str, name: str, content: bytes) -> ObjectId:
        return self._bucket.upload_from_stream(f"{model}/{version}/{name}", content)

    def _delete(self, files: Iterable[ObjectId]) -> None:
        for file in files:
            self._bucket.delete(file)

    def _skip_number(self, model: str, version: str) -> None:
        """Never give out again a number that came from elsewhere, as with an import."""
        if version.isdecimal():
            self._numbers.update_one({"_id": model}, {"$max": {"last": int(version)}}, upsert=True)

    def _find(self, model: str, version: str, field: str) -> Any:
        with translated():
            found = self._versions.find_one({"model": model, "version": version}, [field])
        if found is None:
            raise NotFoundError(f"Model {model} has no version {version}")
        return found[field]
