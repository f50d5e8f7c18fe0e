"""Whatever comes in, reading it ends with what was read or with an error that names the fault.

    python -m tests.fuzz.inputs --minutes 10 --seed 1

Damaged specs, bodies of every kind (JSON, CSV, MLflow's, tensors with raw data, labels), and damaged CSV and
NDJSON files for batches. Prints how many were tried of each as JSON; ends with 1 and shows the smallest input
that crashed, if one did. What takes longer than ``SLOW_S`` is a crash, too.
"""

import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import hypothesis
from hypothesis import HealthCheck
from hypothesis import strategies as st

from app.protocols import invocations, tensors
from app.protocols.open_inference import given
from app.protocols.outputs import Outputs
from mlops import labelling
from mlops.batch.cutting import parts
from mlops.batch.places import files
from mlops.batch.reading import chunks
from model import spec
from model.bulk.checking import BulkSchema
from model.labelled import LabelledSchema
from model.schema import Schema, parse_json
from tests.fuzz import damaged
from tests.fuzz.damaged import SPECS
from utils.errors import SpecError, VigiaError

MAX_ROWS = 1_000
PART_BYTES = 64
SLOW_S = 5.0
SERVER_FAULT = 500

Read = Callable[[Any], object]


def read_rows(one: tuple[str, bytes]) -> object:
    """Read what ``POST /predict`` gets as JSON."""
    return Schema(SPECS[one[0]], max_rows=MAX_ROWS).from_json(one[1])


def read_csv(one: tuple[str, bytes]) -> object:
    """Read what ``POST /predict`` gets as CSV."""
    return Schema(SPECS[one[0]], max_rows=MAX_ROWS).from_csv(one[1])


def read_labelled(one: tuple[str, bytes]) -> object:
    """Read what ``POST /models/NAME/retrain`` gets."""
    return LabelledSchema(SPECS[one[0]], MAX_ROWS).from_json(one[1])


def read_frame(one: tuple[str, bytes]) -> object:
    """Read what ``POST /invocations`` gets."""
    schema = Schema(SPECS[one[0]], max_rows=MAX_ROWS)
    return invocations.given(parse_json(one[1]), schema).checked(schema)


def read_tensors(one: tuple[str, tuple[bytes, int | None]]) -> object:
    """Read what ``POST /v2/models/NAME/infer`` gets."""
    asked, found = tensors.read(*one[1])
    schema = Schema(SPECS[one[0]], max_rows=MAX_ROWS)
    return Outputs(asked, schema.spec), given(found, schema.spec).checked(schema)


def read_labels(body: bytes) -> object:
    """Read what ``POST /labels`` gets as JSON."""
    return labelling.from_json(body, MAX_ROWS)


def read_label_csv(one: tuple[str, bytes]) -> object:
    """Read what ``POST /labels`` gets as CSV."""
    return labelling.from_csv(one[1], MAX_ROWS)


def read_file(ending: str) -> Read:
    """Return what reads a file for a batch, in many small parts."""

    def read(one: tuple[str, bytes]) -> object:
        schema = BulkSchema(SPECS[one[0]])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"rows{ending}"
            path.write_bytes(one[1])
            cut = parts(files(str(path)), SPECS[one[0]], PART_BYTES)
            return [schema.check(chunk) for part in cut for chunk in chunks(part, schema)]

    return read


TARGETS: dict[str, tuple[st.SearchStrategy[Any], Read]] = {
    "spec": (damaged.spec_texts(), spec.loads),
    "json": (damaged.of_spec(damaged.json_bodies), read_rows),
    "csv": (damaged.of_spec(damaged.csv_bodies), read_csv),
    "retrain": (damaged.of_spec(damaged.json_bodies), read_labelled),
    "mlflow": (damaged.of_spec(damaged.frame_bodies), read_frame),
    "tensors": (damaged.of_spec(damaged.tensor_bodies), read_tensors),
    "labels": (damaged.label_bodies(), read_labels),
    "label csv": (damaged.of_spec(damaged.csv_bodies), read_label_csv),
    "batch csv": (damaged.of_spec(damaged.csv_bodies), read_file(".csv")),
    "batch ndjson": (damaged.of_spec(damaged.line_bodies), read_file(".ndjson")),
    "any bytes": (damaged.of_spec(lambda _: st.binary(max_size=300)), read_rows),
}


def attempt(read: Read, made: Any, slow_s: float) -> None:
    """Read one input; raises unless that ends as it should, and within ``slow_s`` of the processor."""
    started = time.process_time()
    try:
        read(made)
    except SpecError as error:
        assert error.detail.startswith("spec"), "the error does not say where"
    except VigiaError as error:
        assert error.detail and error.status < SERVER_FAULT
    assert time.process_time() - started < slow_s, "this took too long"


def fuzz(target: str, n_examples: int, seed: int, slow_s: float = math.inf) -> int:
    """Try ``n_examples`` inputs for a target, and return how many were tried. Raises what one raised."""
    strategy, read = TARGETS[target]
    n_tried = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=n_examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @hypothesis.given(made=strategy)
    def reads(made: Any) -> None:
        nonlocal n_tried
        n_tried += 1
        attempt(read, made, slow_s)

    reads()
    return n_tried


@click.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(minutes: float, seed: int) -> None:
    """Try damaged inputs for some minutes."""
    tried: Counter[str] = Counter()
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        for target in TARGETS:
            tried[target] += fuzz(target, 500, seed, SLOW_S)
        seed += 1
    click.echo(json.dumps({"tried": tried.total(), "by_target": tried}))


if __name__ == "__main__":
    sys.exit(main())
