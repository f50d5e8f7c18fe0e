"""Verdicts: silent where nothing matters, loud where something does, and never NaN."""

import json
import math
from functools import lru_cache

import numpy as np
import pytest

from model.monitoring import PROBABILITY, ModelReference, Policy, Timeline, decide
from model.monitoring.dependence import design_effects

N_FEATURES = 15
ALL = ("margin", "holm", "benjamini_hochberg", "ks_pvalue")


@lru_cache
def reference(m=20_000):
    columns = normals(m, seed=99) | {"fuel": fuels(m, 0.12, seed=98)}
    return ModelReference.fit(columns, dict.fromkeys(columns, "number") | {"fuel": "category"})


def normals(n, seed, **shifts):
    rng = np.random.default_rng(seed)
    return {f"f{i}": rng.normal(shifts.get(f"f{i}", 0.0), 1, n) for i in range(N_FEATURES)}


def fuels(n, share, seed):
    return np.random.default_rng(seed).choice(["diesel", "petrol"], n, p=[share, 1 - share]).tolist()


def rows(n, seed, share=0.12, **shifts):
    return normals(n, seed, **shifts) | {"fuel": fuels(n, share, seed + 1)}


def check(columns, policy=None, m=20_000):
    return decide(reference(m), Timeline.of(reference(m).count(columns)), policy)


def drifted(result):
    return {one.feature for one in result.drifted}


@pytest.mark.parametrize("policy", ALL[:3])
def test_the_same_distribution_is_no_drift(policy):
    result = check(rows(5_000, 1), Policy(name=policy))

    assert result.verdict == "ok"
    assert not result.drifted


@pytest.mark.parametrize("policy", ALL)
def test_a_shifted_feature_and_a_changed_share_are_found_and_named(policy):
    result = check(rows(2_000, 2, share=0.31, f3=0.6), Policy(name=policy))

    assert drifted(result) >= {"f3", "fuel"}
    assert result.features[0].is_drift
    assert result.features[0].effect >= result.features[1].effect


@pytest.mark.parametrize("policy", ALL)
def test_disjoint_values_are_drift(policy):
    result = check(rows(100, 3, f0=100.0), Policy(name=policy))

    assert result.features[0].feature == "f0"
    assert result.features[0].effect == pytest.approx(1.0)
    assert result.features[0].is_drift


@pytest.mark.parametrize("policy", ALL)
def test_too_few_rows_are_insufficient_data_and_never_drift(policy):
    result = check(rows(8, 4, share=1.0, f0=50.0), Policy(name=policy))

    assert result.verdict == "insufficient_data"
    assert {one.verdict for one in result.features} == {"insufficient_data"}


def test_a_significant_but_tiny_shift_is_not_drift_except_for_the_bare_p_value():
    columns = rows(100_000, 5, f7=0.02)

    assert not check(columns).is_drift
    assert "f7" not in drifted(check(columns, Policy(name="holm")))
    assert "f7" in drifted(check(columns, Policy(name="ks_pvalue")))


@pytest.mark.parametrize("m", [2_000, 20_000])
def test_half_a_standard_deviation_in_500_rows_is_found_in_the_first_check(m):
    found = [drifted(check(rows(500, seed, f4=0.5), m=m)) == {"f4"} for seed in range(40)]

    assert np.mean(found) >= 0.95


@pytest.mark.parametrize("n", [200, 1_000, 10_000])
def test_checks_without_drift_are_silent_at_every_size(n):
    n_runs = max(4, 40_000 // n // 5)

    assert not any(check(rows(n, seed)).is_drift for seed in range(1_000, 1_000 + n_runs))


def test_the_users_rule_is_a_p_value_below_0_045_without_correction():
    result = check(rows(1_000, 6), Policy(name="ks_pvalue"))

    for one in result.features:
        assert one.is_drift == (one.p_value < 0.045)
        assert (one.threshold, one.threshold_on) == (0.045, "p_value")


def test_the_threshold_in_the_report_is_the_one_that_was_used():
    for shift in (0.1, 0.3, 0.35, 0.4, 0.6):
        for one in check(rows(700, 7, f0=shift)).features:
            assert one.is_drift == (one.statistic > one.threshold)


def test_holm_rejects_stepwise():
    result = check(rows(2_000, 8, f0=0.5, f1=0.5), Policy(name="holm"))

    assert drifted(result) == {"f0", "f1"}
    assert result.features[0].threshold == pytest.approx(0.05 / (N_FEATURES + 1 - 2))


def test_a_larger_practical_size_silences_one_feature_only():
    columns = rows(5_000, 9, f0=0.4, f1=0.4)

    assert drifted(check(columns, Policy(deltas={"f0": 0.3}))) == {"f1"}


def test_missing_values_that_appear_are_drift_of_quality_and_not_of_the_values():
    columns = rows(2_000, 10)
    columns["f2"][np.random.default_rng(0).random(2_000) < 0.08] = math.nan
    found = check(columns).drifted

    assert [(one.feature, one.check) for one in found] == [("f2", "missing")]
    assert found[0].sentence.startswith("f2: share of missing values rose from 0 % to ")


@pytest.mark.parametrize(
    ("feature", "bad", "kind"),
    [
        ("f1", 99.0, "out_of_range"),
        ("f1", "text", "type_fault"),
        ("fuel", "steam", "unseen"),
        ("fuel", [], "type_fault"),
    ],
)
def test_bad_values_that_appear_are_drift_of_quality(feature, bad, kind):
    columns = rows(1_000, 11)
    columns[feature] = [bad] * 60 + list(columns[feature][60:])

    assert (feature, kind) in {(one.feature, one.check) for one in check(columns).drifted}


@pytest.mark.parametrize("policy", ALL)
def test_all_missing_constant_and_brand_new_columns_leave_the_rest_reported(policy):
    columns = rows(400, 12) | {"f0": [None] * 400, "f1": [1.0] * 400, "new": list(range(400))}
    result = check(columns, Policy(name=policy))
    by_name = {one.feature: one for one in result.features}

    assert by_name["f0"].verdict == "insufficient_data"
    assert by_name["f1"].sentence == "f1 has only values about 1 now"
    assert by_name["f2"].verdict in ("ok", "drift")
    json.dumps(result.to_document(), allow_nan=False)


@pytest.mark.parametrize("n", [0, 1, 40])
@pytest.mark.parametrize("policy", ALL)
def test_documents_are_json_without_nan(policy, n):
    result = check(rows(n, 13) if n else {}, Policy(name=policy))

    document = result.to_document()
    assert json.loads(json.dumps(document, allow_nan=False))["n_rows"] == n
    assert set(map(type, leaves(document))) <= {str, int, float, bool, type(None)}  # none of NumPy's


def leaves(document):
    if isinstance(document, dict | list):
        for value in document.values() if isinstance(document, dict) else document:
            yield from leaves(value)
    else:
        yield document


def test_a_broken_correlation_with_unchanged_margins_is_drift_of_the_pair():
    def pair(n, rho, seed):
        drawn = np.random.default_rng(seed).multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
        return {"a": drawn[:, 0], "b": drawn[:, 1]}

    learnt = ModelReference.fit(pair(10_000, 0.7, 0), {"a": "number", "b": "number"})
    result = decide(learnt, Timeline.of(learnt.count(pair(1_000, 0.0, 1))))

    assert [(one.feature, one.role) for one in result.drifted] == [("a and b", "pair")]
    assert not decide(learnt, Timeline.of(learnt.count(pair(1_000, 0.7, 2)))).is_drift


def test_a_drifted_member_is_not_told_again_for_each_of_its_pairs():
    assert not check(rows(3_000, 14, f0=2.0)).to_document()["drifted"][1:]


def test_outputs_are_told_apart_from_features():
    rng = np.random.default_rng(0)
    learnt = ModelReference.fit({PROBABILITY: rng.beta(2, 5, 5_000)}, {PROBABILITY: "number"})
    result = decide(learnt, Timeline.of(learnt.count({PROBABILITY: rng.beta(5, 2, 500)})))

    assert {(one.feature, one.role) for one in result.drifted} == {("probability", "output")}


def hours(n_hours, n, seed, since=None, **shifts):
    return tuple(
        reference().count(rows(n, seed + i, **(shifts if since is not None and i >= since else {})))
        for i in range(n_hours)
    )


def test_a_small_shift_is_found_in_a_long_window_and_dated():
    timeline = Timeline(hours(60, 1_000, 5_000, since=20, f5=0.17), last=1_059)
    found = decide(reference(), timeline).features[0]

    assert (found.feature, found.is_drift) == ("f5", True)
    assert found.n_periods > 1
    assert abs(found.since_period - 1_020) <= 6


def test_old_hours_do_not_hide_a_new_change():
    timeline = Timeline(hours(48, 1_000, 6_000, since=47, f5=0.6), last=500)

    assert drifted(decide(reference(), timeline)) == {"f5"}


def test_asking_twice_gives_the_same_answer():
    timeline = Timeline(hours(5, 300, 7_000), last=5)

    assert decide(reference(), timeline).to_document() == decide(reference(), timeline).to_document()


def test_windows_shorter_than_the_policy_wants_are_not_judged():
    timeline = Timeline(hours(3, 1_000, 8_000, since=0, f0=3.0), last=3)

    assert decide(reference(), timeline, Policy(min_periods=24)).verdict == "insufficient_data"


def test_rows_that_depend_on_each_other_count_less():
    def customers(n, seed):
        rng = np.random.default_rng(seed)
        return {"x": np.repeat(rng.normal(size=n // 50), 50)}

    learnt = ModelReference.fit({"x": np.random.default_rng(0).normal(size=10_000)}, {"x": "number"})
    effects = design_effects(learnt, [learnt.count(customers(500, seed)) for seed in range(60)])
    timelines = [Timeline.of(learnt.count(customers(1_000, 100 + seed))) for seed in range(40)]

    assert 35 < effects["x"] < 70
    assert any(decide(learnt, timeline).is_drift for timeline in timelines)
    assert not any(
        decide(learnt, timeline, Policy(design_effects=effects)).is_drift for timeline in timelines
    )


def test_a_season_is_normal_when_compared_with_its_own_phase():
    def hour(i, shift=0.0):
        level = 2.0 * math.sin(2 * math.pi * i / 24) + shift
        return learnt.count({"x": np.random.default_rng(i).normal(level, 1, 400)})

    learnt = ModelReference.fit({"x": np.random.default_rng(0).normal(0, 1.7, 20_000)}, {"x": "number"})
    now = [Timeline((*map(hour, range(24 * 14)), hour(24 * 14, shift)), last=24 * 14) for shift in (0.0, 0.6)]
    usual, shifted = (
        decide(learnt.rebased(learnt.total(timeline.same_phase(24))), Timeline.of(timeline.periods[-1]))
        for timeline in now
    )

    assert not usual.is_drift
    assert shifted.is_drift


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"alpha": 1.5}, {"min_rows": 0}, {"design_effects": {"a": 0.5}}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"must|at least"):
        Policy(**wrong)


@pytest.mark.parametrize("n_codes", [500, 5_000, 10**9])
def test_new_codes_of_a_feature_that_always_brings_new_ones_are_no_drift(n_codes):
    rng = np.random.default_rng(15)
    learnt = ModelReference.fit(
        {"code": [str(i) for i in rng.integers(0, n_codes, 5_000)]}, {"code": "category"}
    )
    later = learnt.count({"code": [str(i) for i in rng.integers(0, n_codes, 20_000)]})

    assert not decide(learnt, Timeline.of(later)).is_drift


def test_codes_that_all_become_new_are_drift():
    learnt = ModelReference.fit({"code": [str(i % 500) for i in range(5_000)]}, {"code": "category"})
    result = decide(learnt, Timeline.of(learnt.count({"code": [f"x{i}" for i in range(1_000)]})))

    assert {check.check for check in result.drifted} == {"distribution", "unseen"}
