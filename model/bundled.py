"""Where the training rows of a spec are; a missing sample of ours is made first."""

import logging
from pathlib import Path

from data import tables
from model import spec as specs
from model.spec import Spec

log = logging.getLogger(__name__)


def bundled_rows(spec: Spec, path: Path) -> Path:
    """Return the file of a spec's training rows; ``path`` is the spec's own file."""
    rows = (path.parent / spec.data.train).resolve()
    if not rows.is_file() and path.parent == specs.BUNDLED and spec.name in tables.TABLES:
        log.info("making the sample rows of %s", spec.name)
        tables.make(spec.name)
    return rows
