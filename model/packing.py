"""From what training made to a signed manifest and its parts, ready to be stored.

Heavy (pickles); ``model.artifact`` has the light half that checks and reads.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from model import lineage, pickling
from model import spec as specs
from model.artifact import (
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
    parts = {
        PIPELINE: pickling.dump(trained.pipeline),
        GOLDEN: trained.golden.to_bytes(),
        REFERENCE: trained.reference.to_bytes(),
    }
    if trained.compiled is not None:
        parts[GRAPH] = trained.compiled
    if trained.expectation is not None:
        parts[EXPECTATION] = trained.expectation.to_bytes()
    if trained.conformal is not None:
        parts[CONFORMAL] = trained.conformal.to_bytes()
    if trained.novelty is not None:
        parts[NOVELTY] = trained.novelty.to_bytes()
    if learnt_from:
        parts[LINEAGE] = lineage.encode(learnt_from)
    manifest = Manifest(
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
        trained_on=TrainedOn(source=source, digest=source_digest, **trained.trained_on),
        seconds=trained.seconds,
        parts={name: digest(content) for name, content in parts.items()},
        not_compiled=trained.not_compiled,
    )
    return sign(manifest, key), parts


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()
