"""A reference counts logged columns of any kind, and comes back from bytes as it was."""

import numpy as np
import pytest

from model.monitoring import PREDICTION, ModelReference, Policy, Timeline, decide
from model.monitoring.stacked import Stacked
from utils.errors import IntegrityError

KINDS = {"tempo": "number", "fuel": "category", "seen_on": "date", PREDICTION: "category"}


def training(n=2_000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "tempo": rng.normal(118, 28, n),
        "fuel": rng.choice(["diesel", "petrol"], n).tolist(),
        "seen_on": [f"2020-01-{day:02}" for day in rng.integers(1, 29, n)],
        PREDICTION: rng.integers(0, 2, n).tolist(),
    }


@pytest.fixture(scope="module")
def reference():
    return ModelReference.fit(training(), KINDS, units={"tempo": "bpm"}, ranges={"tempo": (0.0, None)})


def test_bytes_bring_back_cells_counts_ranges_units_and_pairs(reference):
    again = ModelReference.from_bytes(reference.to_bytes())
    rows = training(300, seed=1)

    assert again.counts == reference.counts
    assert again.count(rows) == reference.count(rows)
    assert (again.features["tempo"].low, again.features["tempo"].unit) == (0.0, "bpm")
    assert again.to_bytes() == reference.to_bytes()


def test_damaged_bytes_raise_an_integrity_error(reference):
    data = reference.to_bytes()

    for broken in (b"", data[:-1], data[:100], data[:50] + b"?" + data[51:], b"VGR9" + data[4:]):
        with pytest.raises(IntegrityError):
            ModelReference.from_bytes(broken)


def test_counts_add_up_over_hours_and_come_back_from_parts(reference):
    rows = training(400, seed=2)
    halves = [
        {name: column[part] for name, column in rows.items()} for part in (slice(150), slice(150, None))
    ]
    counted = [reference.count(half) for half in halves]
    stored = [reference.counts_from(counts.to_parts()) for counts in counted]

    assert reference.total(stored) == reference.count(rows)
    assert counted[0] + counted[1] == reference.count(rows)


def test_counts_of_another_version_are_refused(reference):
    other = ModelReference.fit(training(seed=9), KINDS)

    with pytest.raises(ValueError, match="different cells"):
        reference.counts_from(other.count(training(10)).to_parts())


def test_no_parts_are_no_rows(reference):
    assert reference.counts_from({}).n_rows == 0
    assert reference.counts_from({}) == reference.total([])


def test_an_absent_column_is_missing_and_an_unknown_one_is_left_out(reference):
    counts = reference.count({"tempo": [120.0] * 5, "brand_new": ["?"] * 5})

    assert counts.n_rows == 5
    assert counts.parts["fuel"].values[-2] == 5
    assert "brand_new" not in counts.parts


def test_columns_of_different_lengths_are_refused(reference):
    with pytest.raises(ValueError, match="different lengths"):
        reference.count({"tempo": [1.0], "fuel": ["diesel", "petrol"]})


def test_no_columns_are_no_rows(reference):
    assert reference.count({}).n_rows == 0


def test_arrays_lists_and_pandas_columns_count_alike(reference):
    pandas = pytest.importorskip("pandas")
    rows = training(200, seed=3)
    table = pandas.DataFrame(rows)

    as_arrays = reference.count({name: table[name].to_numpy() for name in table})
    assert as_arrays == reference.count(rows)


def test_agreement_counts_rows_on_the_same_side_and_skips_missing_ones():
    rows = {"a": [1, 2, 3, 4, None, 4], "b": [1, 2, 3, 4, 4, 1]}
    reference = ModelReference.fit({"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]}, {"a": "number", "b": "number"})

    assert reference.count(rows).parts["@pairs"].values.tolist() == [4, 1]


def test_a_new_normal_is_no_drift_any_more(reference):
    rows = training(3_000, seed=4) | {"tempo": np.random.default_rng(4).normal(150, 28, 3_000)}
    accepted = reference.rebased(reference.count(rows))
    later = training(1_000, seed=5) | {"tempo": np.random.default_rng(5).normal(150, 28, 1_000)}

    assert decide(reference, Timeline.of(reference.count(later))).is_drift
    assert not decide(accepted, Timeline.of(accepted.count(later))).is_drift
    assert decide(accepted, Timeline.of(accepted.count(training(1_000)))).is_drift


def test_columns_without_any_value_can_be_learnt_and_checked():
    columns = {"empty": [None] * 50, "faulty": [[1]] * 50, "none": [None] * 50}
    reference = ModelReference.fit(columns, {"empty": "number", "faulty": "number", "none": "category"})
    again = ModelReference.from_bytes(reference.to_bytes())
    result = decide(again, Timeline.of(again.count({"empty": [1.0] * 99, "none": ["a"] * 99})), Policy())

    assert all(check.verdict == "insufficient_data" for check in result.features)
    assert {check.feature for check in result.quality if check.is_drift} >= {"empty", "none"}


def test_stored_hours_are_read_as_one_stack_that_equals_them_one_by_one(reference):
    hours = [reference.count(training(n, seed=n)) for n in (40, 300)]
    stored = [hours[0].to_parts(), None, hours[1].to_parts()]

    stack = Stacked(3, reference.matrices_from(stored), reference.layouts)

    assert list(stack) == [hours[0], reference.total([]), hours[1]]
    assert stack.total() == stack[::2].total() == reference.total(hours)
    assert stack.n_rows() == 340
