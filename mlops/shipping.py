"""From the spool into MongoDB: a thread that sends batches and forgets them once they are acknowledged.

Sending again is harmless, since the prediction id is ``_id``; so a batch is sent until MongoDB acknowledged
it by majority, whatever happens in between. Spools of processes that died are taken over and shipped, too.
A document that MongoDB refuses for itself is written to ``refused/`` in the folder of the spools, and the
others go on.

Every row is counted when it is answered and when MongoDB has acknowledged it, and both counts stand in the
ledger beside the spools, so that each process can tell those of all.

Start it in the process that uses the spool, after fork: neither threads nor SQLite survive one.
Stays away from the driver: whatever has ``add_many`` will do.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import msgspec

from mlops.bookkeeping import Books
from mlops.pacing import Pace
from mlops.record import Document, UnreadableRecordError, decode, documents
from utils.errors import UnavailableError
from utils.spool import Entry, LogCounts, Spool, adopt_orphans
from utils.time import now

log = logging.getLogger(__name__)

# A thousand cost mongod 2 µs less a row than two hundred. The driver stops the request threads for 3 ms while
# it encodes so many, which only happens when rows come that fast.
BATCH_ROWS = 1_000
LINGER_S = 0.2
IDLE_S = 0.1
ADOPT_EVERY_S = 10.0
MAX_ADOPTED = 64
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
# BSON documents end at 16 MiB; msgpack of the same is a little shorter.
TOO_LARGE_BYTES = 15_000_000
# How far ahead, and how many requests, are tried to see whether MongoDB takes anything at all.
PROBE_ROWS = 5_000
PROBE_ENTRIES = 20

Refusal = tuple[Document, Exception]


class Store(Protocol):
    """Where predictions go."""

    def add_many(self, documents: Sequence[Document]) -> int:
        """Store all that is not stored yet and return how many that were.

        Raises UnavailableError if not all were acknowledged, something else if one of them is refused.
        """


class Shipper:
    """Ships one spool, and those of dead processes in the same folder.

    Parameters
    ----------
    spool : Spool
        The spool of this process; whoever opened it closes it, after ``stop``.
    store : Store
        Gets the documents, from the shipper's thread only.
    folder : Path
        Where all spools of this machine are.
    batch_rows : int
        Most documents that are sent at once.
    linger_s : float
        How long to wait for more once there is something, in seconds.

    Attributes
    ----------
    stored, set_aside : int
        Rows of this process that MongoDB acknowledged, and that it refused for themselves.
        ``spool.answered == stored + set_aside + spool.pending + spool.unreadable`` at any rest.
    recovered : int
        Rows of dead processes that left their spools.
    retried : int
        Batches that had to be sent again.
    outage_since : datetime or None
        Since when MongoDB has not taken anything.
    pace : Pace
        For those who answer, to keep step with what is shipped.
    books : Books
        Counts of all spools in the folder; publish them now and then.
    """

    def __init__(
        self,
        spool: Spool,
        store: Store,
        folder: Path,
        *,
        batch_rows: int = BATCH_ROWS,
        linger_s: float = LINGER_S,
        adopt_every_s: float = ADOPT_EVERY_S,
    ) -> None:
        self.stored = 0
        self.set_aside = 0
        self.recovered = 0
        self.retried = 0
        self.outage_since: datetime | None = None
        self._spool = spool
        self._store = store
        self._folder = folder
        self._batch_rows = batch_rows
        self._linger_s = linger_s
        self._adopt_every_s = adopt_every_s
        self._adopted: list[Spool] = []
        self._n_set_aside: dict[str, int] = {}
        self._adopt_at = time.monotonic()
        self._pause_s = FIRST_PAUSE_S
        self._taken_at = 0.0
        self._refused_at: dict[str, float] = {}
        self._in_a_hurry = threading.Event()
        self._stopping = threading.Event()
        self._progress = threading.Condition()
        self.pace = Pace(self._backlog)
        self.books = Books(folder, self._counted)
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)

    def _backlog(self) -> int:
        """Return how many rows of this process are not settled; cheaper than ``spool.pending``."""
        return self._spool.answered - self.stored - self.set_aside - self._spool.unreadable

    @property
    def n_adopted(self) -> int:
        """Number of spools of dead processes that are not shipped yet."""
        return len(self._adopted)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def drain(self, timeout_s: float) -> bool:
        """Ship without lingering until this process's spool is empty; return whether it is.

        What is left after ``timeout_s`` stays on the disk and is adopted by the next process.
        """
        self._in_a_hurry.set()
        with self._progress:
            return self._progress.wait_for(lambda: self._spool.pending == 0, timeout_s)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End after the batch under way; return whether the thread has ended and the spool may be closed."""
        self._stopping.set()
        self._in_a_hurry.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self.books.publish()
        self.books.close()
        for spool in self._adopted:
            spool.close()
        return True

    def settle(self) -> None:
        """Write the last counts of this process; call it when its spool is closed."""
        for spool, counts in self._counted().items():
            if not counts.spooled:
                self.books.retire(spool, counts)
        self.books.publish()
        self.books.close()

    def _counted(self) -> dict[str, LogCounts]:
        """Return the counts of each spool that is held here and was used, each of one moment."""
        with self._progress:
            answered, pending = self._spool.counted()
            own = {self._spool.id: LogCounts(answered, self.stored, pending)} if answered else {}
            return own | {spool.id: self._counted_adopted(spool) for spool in self._adopted}

    def _counted_adopted(self, spool: Spool) -> LogCounts:
        """Return the counts of a spool of which only the positions are known."""
        answered, pending = spool.counted()
        n_elsewhere = spool.unreadable + self._n_set_aside[spool.id]
        return LogCounts(answered, answered - pending - n_elsewhere, pending)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._ship_what_is_there()
            except UnavailableError as error:
                self._note_outage(error)
                self._pause()
            except Exception:  # the thread must go on, or nothing would be stored until the next start
                log.exception("Shipping failed; it goes on in a moment.")
                self._pause()

    def _ship_what_is_there(self) -> None:
        self._adopt_if_due()
        if not self._adopted and self._spool.wait(IDLE_S):
            self._in_a_hurry.wait(self._linger_s)
        is_more = True
        while is_more and not self._stopping.is_set():
            is_more = sum(self._ship_batch(spool) for spool in (self._spool, *self._adopted)) > 0
        self._drop_shipped()

    def _ship_batch(self, spool: Spool) -> bool:
        """Ship one batch; return whether another full one is there."""
        entries = spool.peek(self._batch_rows)
        if not entries:
            return False
        n_rows = sum(entry.rows for entry in entries)
        found = [document for entry in entries for document in self._documents(spool, entry)]
        starts = range(0, len(found), self._batch_rows)
        n_stored = sum(self._send(spool, found[start : start + self._batch_rows]) for start in starts)
        with self._progress:  # both or neither, for whoever counts meanwhile
            spool.forget(entries[-1].seq + entries[-1].rows - 1)
            self._count(spool, n_rows, n_stored)
        self.pace.advance()
        return spool.pending >= self._batch_rows

    def _documents(self, spool: Spool, entry: Entry) -> list[Document]:
        try:
            return documents(decode(entry.payload), spool.id, entry.seq)
        except UnreadableRecordError as error:
            path = self._keep(f"{spool.id}-{entry.seq}.payload", entry.payload)
            self.books.note_set_aside(spool.id, entry.seq, entry.rows)
            log.error("%s %d rows are set aside in %s.", error.detail, entry.rows, path)
            return []

    def _send(self, spool: Spool, batch: list[Document]) -> int:
        """Store a batch, set aside what is refused, and return how many were stored."""
        refused = self._refused(batch)
        if not all(_is_too_large(document) for document, _ in refused):
            self._require_proof(spool, batch, refused)
            # Had it refused everything for a moment, it takes these now.
            refused = [again for document, _ in refused for again in self._refused([document])]
        for document, error in refused:
            path = self._keep(f"{document['spool']}-{document['seq']}.json", _as_json(document, error))
            self.books.note_set_aside(document["spool"], document["seq"], 1)
            log.error("MongoDB refuses a prediction, which is set aside in %s. %s", path, _brief(error))
        self._note_recovery()
        return len(batch) - len(refused)

    def _require_proof(self, spool: Spool, batch: list[Document], refused: list[Refusal]) -> None:
        """Raise UnavailableError unless MongoDB took another document after it refused these.

        If it did not, it is not the documents: no permission, say. Nothing is set aside for that.
        """
        first, error = refused[0]
        refused_at = self._refused_at.setdefault(first["_id"], time.monotonic())
        if self._taken_at <= refused_at:
            ids = {document["_id"] for document, _ in refused}
            self._offer(chain([d for d in batch if d["_id"] not in ids][-1:], self._later(spool)))
        if self._taken_at <= refused_at:
            raise UnavailableError(f"MongoDB refuses every prediction. {_brief(error)}")
        del self._refused_at[first["_id"]]

    def _offer(self, others: Iterable[Document]) -> None:
        """Send documents one by one until one is taken; it may be sent again in its turn."""
        for document in others:
            if not self._refused([document]):
                return

    def _later(self, spool: Spool) -> Iterator[Document]:
        for entry in spool.peek(PROBE_ROWS)[-PROBE_ENTRIES:]:
            yield from self._documents(spool, entry)[-1:]

    def _refused(self, batch: list[Document]) -> list[Refusal]:
        """Store what can be stored; return what MongoDB refuses also when it comes alone."""
        try:
            self._store.add_many(batch)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  whatever is said of one, the others must get through
            half = len(batch) // 2
            return self._refused(batch[:half]) + self._refused(batch[half:]) if half else [(batch[0], error)]
        self._taken_at = time.monotonic()
        return []

    def _keep(self, name: str, content: bytes) -> Path:
        """Write a file that is there after a power cut, too."""
        folder = self._folder / "refused"
        folder.mkdir(mode=0o700, exist_ok=True)
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return folder / name

    def _count(self, spool: Spool, n_rows: int, n_stored: int) -> None:
        if spool is self._spool:
            self.stored += n_stored
            self.set_aside += n_rows - n_stored
        else:
            self.recovered += n_rows
            self._n_set_aside[spool.id] = self.books.n_set_aside(spool.id)
        self._progress.notify_all()

    def _adopt_if_due(self) -> None:
        if time.monotonic() < self._adopt_at:
            return
        self._adopt_at = time.monotonic() + self._adopt_every_s
        for spool in islice(adopt_orphans(self._folder), MAX_ADOPTED - len(self._adopted)):
            self._adopt(spool)
        self._spool.reserved_bytes = sum(spool.size_bytes for spool in self._adopted)

    def _adopt(self, spool: Spool) -> None:
        if spool.pending:
            log.info("Taking over %d predictions that a process left in %s.", spool.pending, spool.id)
        with self._progress:
            self._n_set_aside[spool.id] = self.books.n_set_aside(spool.id)
            self._adopted.append(spool)

    def _drop_shipped(self) -> None:
        shipped = [spool for spool in self._adopted if not spool.pending]
        if shipped:
            self.books.publish()  # or a kill behind ``close`` would leave rows that wait in no file
        for spool in shipped:
            self.books.retire(spool.id, self._counted_adopted(spool))
            spool.close()
        self._spool.reserved_bytes = sum(spool.size_bytes for spool in self._adopted if spool not in shipped)
        with self._progress:
            self._adopted = [spool for spool in self._adopted if spool not in shipped]
        if shipped:
            self.books.publish()

    def _note_outage(self, error: UnavailableError) -> None:
        self.pace.release()
        self.retried += 1
        if self.outage_since is None:
            self.outage_since = now()
            log.warning("Predictions stay in the spool for now. %s", error.detail)

    def _note_recovery(self) -> None:
        if self.outage_since is not None:
            log.info("Predictions are stored again, after %s.", now() - self.outage_since)
        self.outage_since = None
        self._pause_s = FIRST_PAUSE_S

    def _pause(self) -> None:
        """Wait longer each time, and not all processes for equally long; shortly while draining."""
        if self._in_a_hurry.is_set():
            self._stopping.wait(FIRST_PAUSE_S)
            return
        self._in_a_hurry.wait(self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311  no secret
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)


def _is_too_large(document: Document) -> bool:
    return len(msgspec.msgpack.encode(document)) > TOO_LARGE_BYTES


def _brief(error: Exception) -> str:
    # The driver's message goes on with the whole document, and logs are no place for people's data.
    return f"{type(error).__name__}: {str(error)[:120]}"


def _as_json(document: Document, error: Exception) -> bytes:
    return msgspec.json.encode({"error": str(error), "document": document})
