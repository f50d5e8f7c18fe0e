"""What goes together, in any form: dependence that breaks while every feature stays as it is."""

import numpy as np
import pytest

from model.monitoring import ModelReference, Policy, Timeline, decide
from model.monitoring.joint import JOINT
from utils.errors import IntegrityError

N_FEATURES = 6


def independent(n, seed):
    rng = np.random.default_rng(seed)
    return {f"f{i}": rng.normal(size=n) for i in range(N_FEATURES)}


def squared(n, seed):
    rows = independent(n, seed)
    return rows | {"f1": rows["f0"] ** 2 + 0.5 * rows["f1"]}


def three_way(n, seed):
    """No pair depends on each other: the sign of f2 is that of f0 times f1."""
    rows = independent(n, seed)
    return rows | {"f2": np.abs(rows["f2"]) * np.sign(rows["f0"] * rows["f1"])}


def mixed(n, seed):
    """A category that goes with a number, and gaps."""
    rows = independent(n, seed)
    kind = np.where(rows["f0"] + 0.5 * rows["f1"] > 0, "high", "low").tolist()
    return rows | {"f1": [None if i % 7 == 0 else v for i, v in enumerate(rows["f1"])], "kind": kind}


def broken(rows, name, seed=9):
    order = np.random.default_rng(seed).permutation(len(rows[name])).tolist()
    return rows | {name: [rows[name][place] for place in order]}


def learnt(make):
    rows = make(10_000, 0)
    return ModelReference.fit(rows, {n: "category" if n == "kind" else "number" for n in rows})


@pytest.mark.parametrize(("make", "name"), [(squared, "f1"), (three_way, "f2")])
def test_a_dependence_of_any_form_that_breaks_is_an_alarm(make, name):
    reference = learnt(make)

    result = decide(reference, Timeline.of(reference.count(broken(make(4_000, 1), name))))

    assert not [one.feature for one in (*result.features, *result.quality) if one.is_drift]
    found = [one for one in result.pairs if one.is_drift and one.check == "together"]
    assert any(one.feature.startswith(f"{name} with ") for one in found)
    assert "fit as badly as" in found[0].sentence


def test_what_the_agreement_of_a_pair_tells_already_is_not_told_twice():
    reference = learnt(mixed)

    result = decide(reference, Timeline.of(reference.count(broken(mixed(4_000, 1), "kind"))))

    assert {(one.feature, one.check) for one in result.drifted} == {
        ("f0 and kind", "agreement"),
        ("f1 and kind", "agreement"),
    }


@pytest.mark.parametrize("make", [independent, squared, three_way, mixed])
def test_what_goes_together_as_it_did_is_no_alarm(make):
    reference = learnt(make)

    for seed in range(1, 6):
        assert decide(reference, Timeline.of(reference.count(make(4_000, seed)))).verdict == "ok"


def test_a_feature_that_moves_takes_its_scores_along_without_an_alarm_of_their_own():
    reference = learnt(squared)
    rows = squared(4_000, 1)

    result = decide(reference, Timeline.of(reference.count(rows | {"f0": rows["f0"] + 2.0})))

    assert {one.feature for one in result.drifted} == {"f0"}


def test_independent_features_and_few_rows_have_no_scores():
    assert learnt(independent).joint is None
    few = squared(300, 0)
    assert ModelReference.fit(few, dict.fromkeys(few, "number")).joint is None


@pytest.mark.parametrize("make", [squared, three_way, mixed])
def test_scores_count_alike_after_bytes_and_in_parts(make):
    reference, rows = learnt(make), make(1_000, 3)

    again = ModelReference.from_bytes(reference.to_bytes())
    halves = [{n: column[place::2] for n, column in rows.items()} for place in (0, 1)]

    assert any(name.startswith(JOINT) for name in reference.counts.parts)
    assert again.counts == reference.counts
    assert again.count(rows) == reference.total(map(reference.count, halves))
    assert again.to_bytes() == reference.to_bytes()


def test_tables_that_are_cut_off_are_refused():
    reference = learnt(squared)
    tables = {name: some[:-1] for name, some in reference.joint.tables.items()}
    object.__setattr__(reference.joint, "tables", tables)

    with pytest.raises(IntegrityError):
        ModelReference.from_bytes(reference.to_bytes())


def test_an_on_demand_question_sees_it_too():
    reference = learnt(three_way)
    rows = broken(three_way(2_000, 1), "f2")

    result = decide(reference, Timeline.of(reference.count(rows)), Policy(name="holm"))

    assert "together" in {one.check for one in result.drifted}
