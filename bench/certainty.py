"""What intervals, sets and novelty cost: processor time of a request's rows, from JSON to the answer's JSON.

    python -m bench.certainty          the bundled models, trained on a part of their simulated tables

CPU time of one thread, the best of several series, in turns, so that all see the same machine. What is left
out is the same for all: HTTP, the log.
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.scoring import best_of
from data.tables import TABLES, make
from model import spec as specs
from model.answer import Judge
from model.artifact import digest
from model.csv_body import rows_of
from model.frame import read_table
from model.packing import pack
from model.schema import Schema
from model.training import train
from model.versions import LoadedVersion, loaded

N_ROWS = 2_000
SIZES = (1, 100)
N_SERIES = 7
LEVEL, SHARE = 0.9, 0.001


class Served:
    """A version that answers with or without intervals (or sets) and novelty."""

    def __init__(self, version: LoadedVersion, *, is_sure: bool, is_novel: bool) -> None:
        self._version = version
        self._schema = Schema(version.spec, max_rows=max(SIZES))
        self._judge = Judge(version.spec, version.threshold, version.conformal if is_sure else None)
        self._detector = version.detector if is_novel else None

    def answer(self, body: bytes) -> bytes:
        """Return the answers to a request's body."""
        batch = self._schema.from_json(body)
        scores = self._version.predictor.scores(batch.numbers, batch.texts)
        warnings = batch.warnings
        if self._detector is not None:
            found = self._detector.warnings(batch.numbers, batch.texts)
            warnings = [old if new is None else [*old, new] for old, new in zip(warnings, found, strict=True)]
        ids = ["0"] * len(warnings)
        return msgspec.json.encode(self._judge.answers(scores, ids, warnings))


def trained(name: str) -> tuple[LoadedVersion, list[dict[str, Any]]]:
    """Return a version of a bundled model that has all, and rows to ask it about."""
    spec = specs.load(specs.BUNDLED / f"{name}.yaml")
    spec = msgspec.structs.replace(spec, intervals=LEVEL, novelty=SHARE)
    with tempfile.TemporaryDirectory() as folder:
        rows = read_table(make(name, Path(folder), N_ROWS), spec)
    manifest, parts = pack(train(spec, rows), "1", digest(name.encode()).encode())
    version = loaded(manifest, parts.__getitem__)
    usual = rows.drop(columns=spec.target.name).dropna().head(max(SIZES))
    return version, rows_of(usual.to_csv(index=False).encode(), version.spec, max(SIZES))


def _lines(name: str) -> list[str]:
    version, rows = trained(name)
    kinds = [
        Served(version, is_sure=a, is_novel=b) for a, b in ((False, False), (True, False), (False, True))
    ]
    lines = []
    for size in SIZES:
        body = json.dumps(rows[:size]).encode()
        calls = [partial(one.answer, body) for one in kinds]
        plain, sure, novel = best_of(N_SERIES, 400 // size + 5, *calls)
        micro = [f"{1e6 * seconds:.0f} µs" for seconds in (plain, sure - plain, novel - plain)]
        lines.append(f"| `{name}` | {size} | {' | '.join(micro)} |")
    return lines


if __name__ == "__main__":
    print("| model | rows | without | intervals or sets add | novelty adds |")
    print("|---|---|---|---|---|")
    for model in TABLES:
        print(*_lines(model), sep="\n", flush=True)
