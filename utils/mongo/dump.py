"""Everything in the database as lines of text and files, and back: for moves and backups in open formats.

A line is a document in MongoDB's extended JSON (canonical), which any MongoDB tool reads and nothing is lost
in. Digests do not depend on the order of documents, so two databases can be compared by them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

import gridfs
from bson import ObjectId, json_util
from pymongo.errors import BulkWriteError

from utils.mongo import migrations
from utils.mongo.connection import Database, Document, translated

# What belongs to processes that run now or is added up anew, how far the database is changed, which is one
# number, and GridFS, whose files come one by one.
LEFT_OUT = ("leases", "drift_days", "migrations", "rate_counters", "rate_windows", "fs.files", "fs.chunks")
BATCH = 1_000
DUPLICATE = 11000
MODULUS = 2**256


class Dump:
    """One database, to be read or filled."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._bucket = gridfs.GridFSBucket(db)

    def collections(self) -> list[str]:
        """Return the names of what is worth keeping, in order."""
        with translated():
            names = self._db.list_collection_names()
        return sorted(n for n in names if n not in LEFT_OUT and not n.startswith("system."))

    def lines(self, collection: str) -> Iterator[str]:
        """Yield the documents of a collection, one a line."""
        with translated():
            for document in self._db[collection].find().sort("_id", 1):
                yield json_util.dumps(document, json_options=json_util.CANONICAL_JSON_OPTIONS)

    def count(self, collection: str) -> int:
        """Return the number of documents of a collection."""
        with translated():
            return self._db[collection].count_documents({})

    def fill(self, collection: str, lines: Iterable[str]) -> None:
        """Insert documents; those whose ``_id`` is there already stay as they are."""
        documents = map(parsed, lines)
        with translated():
            while batch := list(islice(documents, BATCH)):
                try:
                    self._db[collection].insert_many(batch, ordered=False)
                except BulkWriteError as error:
                    if any(fault["code"] != DUPLICATE for fault in error.details["writeErrors"]):
                        raise

    @property
    def schema_version(self) -> int:
        """Of the database: that of the newest step of ``utils.mongo.migrations``, 0 before the first."""
        return migrations.standing(self._db).database

    def note_schema_version(self, version: int) -> None:
        """Have steps after ``version`` done again, for documents that came from elsewhere."""
        migrations.place(self._db, version)

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield id and name of each stored file, by name."""
        with translated():
            for file in self._db["fs.files"].find({}, ["filename"]).sort("filename", 1):
                yield str(file["_id"]), str(file["filename"])

    def content(self, file_id: str) -> bytes:
        """Return the bytes of a file."""
        with translated(), self._bucket.open_download_stream(ObjectId(file_id)) as stream:
            return bytes(stream.read())

    def put(self, file_id: str, name: str, content: bytes) -> None:
        """Store a file under its id, unless it is there."""
        with translated():
            if self._db["fs.files"].find_one({"_id": ObjectId(file_id)}, ["_id"]) is None:
                self._bucket.upload_from_stream_with_id(ObjectId(file_id), name, content)


OPTIONS = json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)


class Digest:
    """Digest of a set of lines, whatever their order."""

    def __init__(self) -> None:
        self.n_lines = 0
        self._sum = 0

    def add(self, line: str) -> None:
        """Add one line."""
        self.n_lines += 1
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(line.encode()).digest())) % MODULUS

    @property
    def text(self) -> str:
        """The digest of all lines so far, as hexadecimal digits."""
        return f"{self._sum:064x}"


def parsed(line: str) -> Document:
    """Return the document of a line, with instants that are aware."""
    found: Document = json_util.loads(line, json_options=OPTIONS)
    return found
