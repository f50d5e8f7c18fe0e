"""One run from beginning to end: plan, let workers score, log and put together what is done, in order.

Whatever is killed, the same command goes on: what is done stays, each part is scored into the output once.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import IO, Any

import fsspec
import msgspec
from distributed import Client, Future, as_completed

from mlops.batch.cluster import client
from mlops.batch.cutting import PART_BYTES, Part, columns_of, parts
from mlops.batch.formats import Format, TextWriter, Writer
from mlops.batch.places import File, files, kind_of
from mlops.batch.scoring import MODEL_FILE, Order, score_part
from mlops.batch.shipping import Log, ship, ship_refusals
from mlops.batch.workfolder import BAD, OUT, Done, Packed, Plan, WorkFolder
from model import artifact
from model.artifact import Manifest
from model.bulk.checking import required_but_absent
from model.columns import shown
from model.spec import Spec
from model.versions import SERVED
from utils.errors import TableError
from utils.time import prediction_ids

MAX_SHOWN = 20  # columns, where some are lacking
UNDER_WAY = 3  # parts a thread, so that none waits for the next

OnPart = Callable[[Part, Done], None]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    ``log`` keeps the answers, None where they are not to be logged. ``part_bytes`` is about how much of a
    file a worker takes at once.
    """

    input: str
    output: str
    log: Log | None = None
    address: str | None = None
    n_workers: int = 2
    part_bytes: int = PART_BYTES
    is_restart: bool = False


@dataclass
class Summary:
    """What came of a run."""

    model: str
    version: str
    output: str
    rows: int = 0
    scored: int = 0
    refused: int = 0
    warned: int = 0
    logged: int = 0
    parts: int = 0
    resumed_parts: int = 0
    seconds: float = 0.0
    refused_rows: str | None = None

    def add(self, done: Done, *, is_logged: bool) -> None:
        """Count a part."""
        self.parts += 1
        self.logged += done.n_scored if is_logged else 0
        self.rows += done.n_rows
        self.scored += done.n_scored
        self.refused += done.n_refused
        self.warned += done.n_warned

    def document(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def begun(request: Request, model: str) -> str | None:
    """Return the version with which an interrupted run of this model began, None if there is none."""
    plan = None if request.is_restart else WorkFolder(f"{request.output}.parts").plan()
    return plan.version if plan and plan.model == model else None


class Run:
    """One run of one version over some files.

    Parameters
    ----------
    manifest : Manifest
        Verified, of the version that answers unless an interrupted run began with another.
    part_of : callable
        Returns the verified bytes of a part of a version, by version and name.

    Raises
    ------
    TableError
        If an input or the output cannot be used.
    """

    def __init__(self, request: Request, manifest: Manifest, part_of: Callable[[str], bytes]) -> None:
        self._request = request
        self._kind, self._compression = kind_of(request.output)
        self._manifest, self._part_of = manifest, part_of
        self._spec = manifest.resolved_spec()
        self._files = files(request.input)
        self._folder = WorkFolder(f"{request.output}.parts")
        self._check_columns()

    @property
    def n_bytes(self) -> int:
        """Size of all files, for telling progress."""
        return sum(file.size for file in self._files)

    def _check_columns(self) -> None:
        for file in self._files:
            columns = columns_of(file, self._spec)
            if columns is not None:
                _require(self._spec, file, columns)

    def run(self, on_part: OnPart) -> Summary:
        """Score everything; ``on_part`` is called for each part that is done.

        Raises
        ------
        TableError
            If a file cannot be taken apart.
        ConflictError
            If what was interrupted here is another run.
        UnavailableError
            If MongoDB or the cluster is away; the same command goes on.
        """
        start = perf_counter()
        order = self._order()
        summary = Summary(self._manifest.model, order.plan.version, self._request.output)
        with ExitStack() as stack:
            workers = stack.enter_context(client(self._request.address, self._request.n_workers))
            target = stack.enter_context(growing(self._request.output, self._compression))
            output = stack.enter_context(closing(self._format(order).writer(target)))
            for part, done in _Ordered(workers, order, self._parts(), summary):
                self._keep(order, part, done, output)
                summary.add(done, is_logged=order.plan.is_logged)
                on_part(part, done)
        self._put_refused(order.folder, summary)
        self._folder.remove()
        summary.seconds = round(perf_counter() - start, 3)
        return summary

    def _format(self, order: Order) -> Format:
        return order.format(self._spec, self._manifest)

    def _order(self) -> Order:
        log = self._request.log
        secrets = (log.redaction_key, log.sealing) if log else ()
        plan = self._begun()
        return Order(self._folder.of(plan), plan, self._kind, len(self._files) > 1, *secrets)

    def _keep(self, order: Order, part: Part, done: Done, output: Writer) -> None:
        """Log what came of a part, and append it to the output while others are scored."""
        log = self._request.log
        if log is not None:
            ship(order.folder, part.index, log.predictions)
            ship_refusals(order.plan, part.index, done, log.refusals)
        with order.folder.open(f"{part.index:06d}.{OUT}") as answers:
            output.add(answers)

    def _parts(self) -> Iterator[Part]:
        return parts(self._files, self._spec, self._request.part_bytes)

    def _begun(self) -> Plan:
        names = [name for name in SERVED if name in self._manifest.parts]
        packed = Packed(self._manifest, {name: self._part_of(name) for name in names})
        content = msgspec.msgpack.encode(packed)
        join = self._folder.begun_anew if self._request.is_restart else self._folder.joined
        plan = join(self._plan(artifact.digest(content)))
        folder = self._folder.of(plan)
        if folder.read(MODEL_FILE) is None:
            folder.write(MODEL_FILE, content)
        return plan

    def _plan(self, digest: str) -> Plan:
        return Plan(
            model=self._manifest.model,
            version=self._manifest.version,
            digest=digest,
            is_logged=self._request.log is not None,
            redacted=list(self._request.log.redacted) if self._request.log else [],
            inputs=[(file.url, file.size, file.changed) for file in self._files],
            part_bytes=self._request.part_bytes,
            id=f"batch-{uuid.uuid4().hex}",
            first_id=prediction_ids(1)[0],
            attempt=uuid.uuid4().hex,
        )

    def _put_refused(self, folder: WorkFolder, summary: Summary) -> None:
        bad = refused_path(self._request.output)
        if summary.refused:
            with growing(bad, None) as target:
                output = TextWriter(target)
                for part in folder.parts(summary.parts, BAD):
                    with part:
                        output.add(part)
            summary.refused_rows = bad
        else:
            _forget(bad)  # one of an earlier run would mislead


class _Ordered:
    """Parts with what came of them, in order, while a few are under way."""

    def __init__(self, workers: Client, order: Order, planned: Iterator[Part], summary: Summary) -> None:
        self._workers, self._order, self._planned, self._summary = workers, order, planned, summary
        self._pending: dict[Future[Done], Part] = {}
        self._ready: dict[int, tuple[Part, Done]] = {}
        self._completed = as_completed()
        self._is_all = False

    def __iter__(self) -> Iterator[tuple[Part, Done]]:
        n_next = 0
        self._fill()
        while self._pending or self._ready:
            while n_next in self._ready:
                yield self._ready.pop(n_next)
                n_next += 1
            self._fill()
            if n_next not in self._ready and self._pending:
                self._take()

    def _fill(self) -> None:
        """Hand parts out; those that are done already come back at once."""
        threads = sum(self._workers.nthreads().values()) or 1
        while not self._is_all and len(self._pending) + len(self._ready) < UNDER_WAY * threads:
            part = next(self._planned, None)
            if part is None:
                self._is_all = True
                return
            done = self._order.folder.done(part.index)
            if done is not None:
                self._summary.resumed_parts += 1
                self._ready[part.index] = (part, done)
                continue
            future = self._workers.submit(score_part, part, self._order, pure=False)
            self._pending[future] = part
            self._completed.add(future)

    def _take(self) -> None:
        future = next(self._completed)
        part = self._pending.pop(future)
        self._ready[part.index] = (part, future.result())


def _require(spec: Spec, file: File, columns: Sequence[str]) -> None:
    absent = list(required_but_absent(spec, columns))
    if absent:
        lacking = f"lacking column{'s' * (len(absent) > 1)}: {', '.join(absent)}"
        raise TableError(f"{file.name}: {lacking}. It has: {', '.join(map(shown, columns[:MAX_SHOWN]))}.")
    known = {*spec.features, *spec.ignored, spec.id, spec.subject}
    unknown = [name for name in columns if name not in known]
    if spec.strict and unknown:
        raise TableError(f"{file.name}: {spec.name} is strict and knows no column {unknown[0]!r}.")


def refused_path(output: str) -> str:
    """Return where refused rows go: ``scored.csv`` has ``scored.refused.ndjson`` beside it."""
    folder, slash, name = output.rpartition("/")
    return f"{folder}{slash}{name.split('.')[0]}.refused.ndjson"


@contextmanager
def growing(url: str, compression: str | None) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears only when it is complete, and goes if it will not be."""
    system, path = fsspec.url_to_fs(url)
    partial = f"{path}.partial"
    try:
        with fsspec.open(system.unstrip_protocol(partial), "wb", compression=compression) as target:
            yield target
    except BaseException:
        _forget(system.unstrip_protocol(partial))
        raise
    system.mv(partial, path)


def _forget(url: str) -> None:
    system, path = fsspec.url_to_fs(url)
    if system.exists(path):
        system.rm_file(path)
