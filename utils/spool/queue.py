"""The spool of one process: many threads append, one thread ships."""

import logging
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

from utils.errors import SpoolFullError
from utils.spool.arrivals import Arrival, Arrivals
from utils.spool.claim import Claim
from utils.spool.segment import Entry, Segment, is_damage
from utils.spool.wal import estimated_bytes

log = logging.getLogger(__name__)

# An unsealed segment takes 2 kB of disk for a row of 400 bytes, a compacted one 500 bytes.
SEGMENT_BYTES = 16_000_000


class Spool:
    """A durable queue of payloads; each stands for some rows, and rows are numbered 1, 2, 3, …

    ``append`` may be called by any thread; ``peek``, ``forget`` and ``wait`` by one thread, the shipper.
    The ledger is ``answered == shipped + pending + unreadable``, all in rows.

    Attributes
    ----------
    id : str
        Unique; names the files.
    answered : int
        Number of the last row that was appended, by this process or the one that died.
    unreadable : int
        Rows that were set aside because their segment is damaged.
    reserved_bytes : int
        What else this process keeps on the same disk (adopted spools): counts against ``max_bytes``.
    """

    def __init__(self, folder: Path, name: str, claim: Claim, *, max_bytes: int, fsync: bool) -> None:
        self.id = name
        self.answered = 0
        self.unreadable = 0
        self.reserved_bytes = 0
        self._folder = folder
        self._claim = claim
        self._max_bytes = max_bytes
        self._fsync = fsync
        self._arrivals = Arrivals(self._commit)
        self._lock = threading.Lock()
        self._has_entries = threading.Event()
        self._active: Segment | None = None
        self._sealed: list[Segment] = []
        self._sealed_bytes = 0
        self._is_closed = False

    @classmethod
    def open(cls, folder: Path, *, max_bytes: int, fsync: bool = False) -> "Spool":
        """Start a new spool in ``folder``.

        Parameters
        ----------
        folder : Path
            On a local disk; shared by all processes of this machine.
        max_bytes : int
            Most bytes of disk it may take.
        fsync : bool, default=False
            Whether an append returns only when the disk itself has it. Appends that meet share one sync.

        Raises
        ------
        SpoolFullError
            If nothing can be written there.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            name, claim = _new_claim(folder)
        except OSError as error:
            raise SpoolFullError(f"The spool cannot be made in {folder}: {error.strerror}.") from error
        return cls(folder, name, claim, max_bytes=max_bytes, fsync=fsync)

    @classmethod
    def recover(cls, folder: Path, name: str, claim: Claim) -> "Spool":
        """Take over the spool that a dead process left; only to be shipped."""
        spool = cls(folder, name, claim, max_bytes=0, fsync=False)
        spool._remove_leftovers()
        for path in sorted(folder.glob(f"{name}.*.sqlite")):
            spool._recover_segment(path)
        spool._sum_up()
        return spool

    @property
    def pending(self) -> int:
        """Rows that are not shipped yet."""
        return self.counted()[1]

    def counted(self) -> tuple[int, int]:
        """Return ``answered`` and ``pending`` of one moment."""
        with self._lock:
            active = 0 if self._active is None else self._active.pending
            return self.answered, active + sum(segment.pending for segment in self._sealed)

    @property
    def size_bytes(self) -> int:
        """Bytes of disk that its files take at most."""
        return self._sealed_bytes + (0 if self._active is None else self._active.size_bytes)

    def append(self, payload: bytes, rows: int) -> int:
        """Keep ``payload`` and return the number of its first row; when this returns, it is durable.

        Appends that meet share one commit.

        Parameters
        ----------
        payload : bytes
            Anything.
        rows : int
            How many rows it stands for, at least 1.

        Raises
        ------
        SpoolFullError
            If ``max_bytes`` would be passed or the disk is full; works again when there is room.
        """
        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows}")
        arrival = Arrival(payload, rows)
        self._arrivals.settle(arrival)
        if not arrival.seq:
            raise SpoolFullError(arrival.refusal)
        return arrival.seq

    def peek(self, max_rows: int) -> list[Entry]:
        """Return the oldest entries, at least one if there is any, of up to ``max_rows`` rows together."""
        self._seal_what_is_due()
        while self._sealed:
            try:
                return self._sealed[0].read(max_rows)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                self._set_aside(self._drop_first())
        return []

    def forget(self, last_seq: int) -> None:
        """Drop every entry up to row ``last_seq``, which is the last row of an entry from ``peek``."""
        while self._sealed and self._sealed[0].last_seq <= last_seq:
            self._sealed[0].shipped = self._sealed[0].last_seq
            self._drop_first().delete()
        if self._sealed and self._sealed[0].first_seq <= last_seq:
            self._sealed[0].forget(last_seq)

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to ship and return True, or False after ``timeout_s``."""
        return self._has_entries.wait(timeout_s)

    def close(self) -> None:
        """Stop taking entries and let others adopt what is left, if anything is."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._seal()
            for segment in self._sealed:
                segment.compact()
            self._claim.release(remove=not self._sealed)

    def _commit(self, arrivals: Sequence[Arrival]) -> None:
        with self._lock:
            accepted = self._accepted(arrivals)
            entries = self._numbered(accepted)
            if not entries:
                return
            try:
                self._writable().add(entries)
            except (sqlite3.Error, OSError) as error:
                self._refuse(accepted, error)
                return
            for arrival, entry in zip(accepted, entries, strict=True):
                arrival.seq = entry.seq
                self.answered += entry.rows
            if not self._has_entries.is_set():
                self._has_entries.set()

    def _accepted(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        accepted, size = [], 0
        for arrival in arrivals:
            needed = estimated_bytes(arrival.payload)
            if self._is_closed:
                arrival.refusal = "The service is stopping."
            elif not self._has_room_for(size + needed):
                arrival.refusal = "The log of predictions is full: MongoDB has been away for too long."
            else:
                accepted.append(arrival)
                size += needed
        return accepted

    def _numbered(self, arrivals: Sequence[Arrival]) -> list[Entry]:
        entries, seq = [], self.answered + 1
        for arrival in arrivals:
            entries.append(Entry(seq, arrival.payload, arrival.rows))
            seq += arrival.rows
        return entries

    def _has_room_for(self, size: int) -> bool:
        allowed = self._max_bytes - self.reserved_bytes
        if self.size_bytes + size > allowed and self._active is not None:
            self._active.measure()
        return self.size_bytes + size <= allowed

    def _refuse(self, arrivals: Sequence[Arrival], error: sqlite3.Error | OSError) -> None:
        log.error("The spool cannot be written: %s", error)
        for arrival in arrivals:
            arrival.refusal = f"The log of predictions cannot be written: {error}."
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
            # The file itself may be at fault, and another one do.
            self._seal()

    def _writable(self) -> Segment:
        if self._active is None:
            first_seq = self.answered + 1
            path = self._folder / f"{self.id}.{first_seq:016}.sqlite"
            self._active = Segment.create(path, first_seq, fsync=self._fsync)
        return self._active

    def _seal_what_is_due(self) -> None:
        """Seal the active segment where it comes next or is large, and start another one for the appends."""
        has_backlog = bool(self._sealed)
        with self._lock:
            active = self._active
            is_due = active is not None and (active.size_bytes > SEGMENT_BYTES or not has_backlog)
            if active is not None and active.pending and is_due:
                self._seal()
                self._start_early()
            if not self._sealed:
                self._has_entries.clear()
        if has_backlog and self._sealed[-1] is active and active is not None:
            # It will wait for a while: 4 bytes in 5 are earlier states of its pages.
            active.compact()
        self._sum_up()

    def _seal(self) -> None:
        active, self._active = self._active, None
        if active is None:
            return
        if active.pending:
            self._sealed.append(active)
            self._sum_up()
        else:
            active.delete()

    def _start_early(self) -> None:
        """Make the next segment now, so that no request waits for it."""
        try:
            self._writable()
        except (sqlite3.Error, OSError):
            # The next append tries again, and tells its caller.
            log.warning("Cannot start a new segment of the spool.", exc_info=True)

    def _drop_first(self) -> Segment:
        with self._lock:
            first = self._sealed.pop(0)
            self._sum_up()
        return first

    def _set_aside(self, segment: Segment) -> None:
        self.unreadable += segment.pending
        target = segment.set_aside()
        log.error(
            "Damaged on disk: %d rows of the spool cannot be read, kept in %s.",
            segment.pending,
            target,
            exc_info=True,
        )

    def _sum_up(self) -> None:
        self._sealed_bytes = sum(segment.size_bytes for segment in self._sealed)

    def _recover_segment(self, path: Path) -> None:
        first_seq = int(path.name.split(".")[1])
        self._count_gap(first_seq)
        segment = Segment(path, first_seq, None)
        try:
            segment.recover()
        except sqlite3.Error as error:
            if not is_damage(error):
                segment.compact()  # closes it; nothing is lost, and the next look may go well
                raise
            self._set_aside(segment)
            return
        self.answered = segment.last_seq
        if segment.pending:
            self._sealed.append(segment)
            self._has_entries.set()
        else:
            segment.delete()

    def _count_gap(self, first_seq: int) -> None:
        """Count rows between two segments that neither has: the end of the earlier one is lost."""
        if self.answered:
            self.unreadable += first_seq - 1 - self.answered
        self.answered = first_seq - 1

    def _remove_leftovers(self) -> None:
        """Remove what a creation or a removal that was cut short left."""
        for path in self._folder.glob(f"{self.id}.*.sqlite.new"):
            path.unlink()
        for path in self._folder.glob(f"{self.id}.*.sqlite-wal"):
            if not path.with_name(path.name.removesuffix("-wal")).exists():
                path.unlink()


def _new_claim(folder: Path) -> tuple[str, Claim]:
    while True:
        name = uuid.uuid4().hex
        claim = Claim.take(folder / f"{name}.lock")
        # An adopter that looks just now may hold it for a moment.
        if claim is not None:
            return name, claim
