"""From what training made to a signed manifest and its parts, ready to be stored.

Heavy (pickles); ``model.artifact`` has the light half that checks and reads.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from model import lineage, pickling
from model import spec as specs
from model.artifact import (
    ADDITIVE,
    CONFORMAL,
    EXPECTATION,
    GOLDEN,
    GRAPH,
    LINEAGE,
    NOVELTY,
    PIPELINE,
    REFERENCE,
    Manifest,
    TrainedOn,
    digest,
    installed_packages,
    python_version,
    sign,
)
from model.training import Trained
from utils.time import now

BLOCK = 2**20


def pack(
    trained: Trained,
    version: str,
    key: bytes,
    *,
    source: str = "",
    source_digest: str = "",
    learnt_from: Sequence[str] = (),
) -> tuple[Manifest, dict[str, bytes]]:
    """Return the signed manifest of a new version, and its parts by name.

    Parameters
    ----------
    source, source_digest : str
        Where the training rows came from, and the SHA-256 of that file.
    learnt_from : sequence of str
        Ids of the logged predictions among the rows.
    """
    parts = _parts(trained, learnt_from)
    trained_on = TrainedOn(source=source, digest=source_digest, **trained.trained_on)
    return sign(_manifest(trained, version, trained_on, parts), key), parts


class _Storable(Protocol):
    def to_bytes(self) -> bytes: ...


def _parts(trained: Trained, learnt_from: Sequence[str]) -> dict[str, bytes]:
    parts = {PIPELINE: pickling.dump(trained.pipeline)}
    if trained.compiled is not None:
        parts[GRAPH] = trained.compiled
    if learnt_from:
        parts[LINEAGE] = lineage.encode(learnt_from)
    learnt: dict[str, _Storable | None] = {
        GOLDEN: trained.golden,
        REFERENCE: trained.reference,
        EXPECTATION: trained.expectation,
        CONFORMAL: trained.conformal,
        NOVELTY: trained.novelty,
        ADDITIVE: trained.additive,
    }
    return parts | {name: one.to_bytes() for name, one in learnt.items() if one is not None}


def _manifest(trained: Trained, version: str, trained_on: TrainedOn, parts: Mapping[str, bytes]) -> Manifest:
    return Manifest(
        model=trained.spec.name,
        version=version,
        created_at=now(),
        task=trained.spec.task,
        spec=specs.dumps(trained.spec),
        metrics=trained.metrics,
        cross_validation=trained.cross_validation,
        threshold=trained.threshold,
        packages=installed_packages(),
        python=python_version(),
        trained_on=trained_on,
        seconds=trained.seconds,
        parts={name: digest(content) for name, content in parts.items()},
        not_compiled=trained.not_compiled,
    )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()
