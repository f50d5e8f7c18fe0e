"""What a worker does with one part: read, check, score, write. Runs anywhere Dask runs it.

The version comes from the folder of the attempt; its digest came with the order, from the process that
verified the signature. So a worker needs neither MongoDB nor the signing key.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import Any

import msgspec

from mlops.batch.cutting import Part
from mlops.batch.formats import Answered, Format
from mlops.batch.places import Kind
from mlops.batch.reading import chunks
from mlops.batch.workfolder import BAD, LOG, OUT, Done, Packed, Plan, WorkFolder
from mlops.record import LoggedRequest, decode, documents, encode
from mlops.redaction import Redaction
from mlops.rejections import count, sample_of
from mlops.sealing import Sealing
from model import artifact
from model.answer import Judge
from model.artifact import CONFORMAL, Manifest
from model.bulk.answers import Answers, answers, scored
from model.bulk.cells import Chunk
from model.bulk.checking import BulkSchema, Refused
from model.spec import Spec
from model.versions import LoadedVersion, loaded
from utils.errors import IntegrityError
from utils.mongo.predictions import encode as as_bson
from utils.time import now

MODEL_FILE = "model.bin"


@dataclass(frozen=True)
class Order:
    """What all parts of a run have in common; what is secret of it stays in memory."""

    folder: WorkFolder
    plan: Plan
    kind: Kind
    has_files: bool
    redaction_key: bytes = field(default=b"", repr=False)
    sealing: Sealing = field(default_factory=Sealing)

    def format(self, spec: Spec, manifest: Manifest) -> Format:
        """Return how answers are written; reading the manifest's spec again would take long."""
        return Format(
            spec,
            self.kind,
            has_certainty=CONFORMAL in manifest.parts,
            is_logged=self.plan.is_logged,
            has_files=self.has_files,
        )

    def redaction(self) -> Redaction:
        """Return what the log does not get to see."""
        return Redaction(self.plan.redacted, lambda: self.redaction_key)


@dataclass(frozen=True)
class Scorer:
    """One version, ready to score parts."""

    version: LoadedVersion
    schema: BulkSchema
    judge: Judge


def score_part(part: Part, order: Order) -> Done:
    """Score a part and keep what came of it in the folder of the run."""
    scorer = _scorer(order.folder, order.plan.digest)
    form = order.format(scorer.version.spec, scorer.version.manifest)
    found = [_Chunk(part, order, scorer, chunk) for chunk in chunks(part, scorer.schema)]
    files = {OUT: form.encode([one.answered for one in found if len(one.checked.rows)])}
    files[BAD] = b"".join(one.refused_lines() for one in found)
    if order.plan.is_logged:
        files[LOG] = b"".join(one.logged() for one in found if len(one.checked.rows))
    reasons, sample = _counted(found) if order.plan.is_logged else ({}, None)
    done = Done(
        n_rows=sum(len(one.checked.rows) + len(one.refused) for one in found),
        n_scored=sum(len(one.checked.rows) for one in found),
        n_refused=sum(len(one.refused) for one in found),
        n_warned=sum(one.n_warned for one in found),
        reasons=reasons,
        sample=sample,
    )
    order.folder.finish(part.index, files, done)
    return done


def _counted(found: Sequence["_Chunk"]) -> tuple[dict[str, int], dict[str, str] | None]:
    """Return why rows were refused, as refused requests are counted, and one of the faults."""
    faults = [fault for one in found for refused in one.refused for fault in refused.faults]
    reasons: Counter[str] = Counter()
    for fault in faults:
        count(fault, reasons)
    return dict(reasons), sample_of(faults[-1]) if faults else None


@lru_cache(maxsize=2)
def _scorer(folder: WorkFolder, digest: str) -> Scorer:
    content = folder.read(MODEL_FILE) or b""
    if artifact.digest(content) != digest:
        raise IntegrityError(f"{folder.url}/{MODEL_FILE} is not what this run began with.")
    packed = msgspec.msgpack.decode(content, type=Packed)
    version = loaded(
        packed.manifest, lambda name: artifact.checked(packed.manifest, name, packed.parts[name])
    )
    judge = Judge(version.spec, version.threshold, version.conformal)
    return Scorer(version, BulkSchema(version.spec), judge)


class _Chunk:
    """Rows of a part, answered."""

    def __init__(self, part: Part, order: Order, scorer: Scorer, chunk: Chunk) -> None:
        self._part, self._order, self._scorer = part, order, scorer
        start = perf_counter()
        checked = scorer.schema.check(chunk)
        scores, is_taken, faults = scored(scorer.version.predictor, checked)
        late = [
            Refused(int(row), [fault], None)
            for row, fault in zip(checked.rows[~is_taken].tolist(), faults, strict=True)
        ]
        self.checked = checked if is_taken.all() else checked.take(is_taken)
        self.refused: Sequence[Refused] = sorted([*checked.refused, *late], key=lambda one: one.row)
        self._answers: Answers = answers(scorer.judge, scores, self.checked, scorer.version.detector)
        self._latency_ms = (perf_counter() - start) * 1_000

    @property
    def n_warned(self) -> int:
        """Number of rows with a warning."""
        return len(self.checked.rows) if self.checked.common else len(self._answers.warnings)

    @property
    def answered(self) -> Answered:
        """The answers, to be written."""
        return Answered(
            self.checked.rows,
            self._answers,
            self.checked.common,
            self.checked.references,
            self._ids() if self._order.plan.is_logged else None,
            self._part.file.name if self._order.has_files else None,
        )

    def _positions(self) -> Any:
        """Return the position of each row among the rows of all files, shape (n_rows,)."""
        return self.checked.rows - self._part.first_row + self._part.first

    def _ids(self) -> list[str]:
        first = uuid.UUID(self._order.plan.first_id).int
        return [str(uuid.UUID(int=first + position)) for position in self._positions().tolist()]

    def refused_lines(self) -> bytes:
        """Return the refused rows as NDJSON."""
        name = {"file": self._part.file.name} if self._order.has_files else {}
        return b"".join(map(_line, ({"row": one.row, **name, **_told(one)} for one in self.refused)))

    def logged(self) -> bytes:
        """Return the documents for MongoDB, as BSON, one after another."""
        checked, plan, spec = self.checked, self._order.plan, self._scorer.version.spec
        odd = [self.answered.warnings(row) for row in range(len(checked.rows))] if self.n_warned else None
        record = LoggedRequest(
            plan.id,
            plan.model,
            plan.version,
            now(),
            self._scorer.version.predictor.served_by,
            self._latency_ms,
            list(spec.features),
            checked.values(),
            self._ids(),
            self._answers.predictions(spec.labels),
            None if self._answers.chosen is None else self._answers.values.tolist(),
            odd,
            checked.subjects if spec.subject else None,
            {spec.id: checked.references} if spec.id else None,
        )
        record = self._order.redaction().apply(record, spec.subject)
        record = self._order.sealing.apply(record)
        found = documents(decode(encode(record)), plan.id, int(self._positions()[0]))
        numbered = zip(found, checked.rows.tolist(), strict=True)
        return b"".join(as_bson(document | {"row": row}) for document, row in numbered)


def _told(refused: Refused) -> dict[str, Any]:
    errors = [{"pointer": one.pointer, "code": one.code, "detail": one.detail} for one in refused.faults]
    return {"errors": errors, "data": refused.data}


def _line(told: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(told) + b"\n"
    except (UnicodeEncodeError, ValueError, TypeError):  # what is in the row is what is wrong with it
        return msgspec.json.encode(told | {"data": ascii(told["data"])}) + b"\n"
