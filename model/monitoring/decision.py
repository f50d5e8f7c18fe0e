"""From counts to verdicts.

Four policies (see ``Policy``); each gives every feature a statistic, the threshold that was really used, and
a verdict. Too few rows are "insufficient_data", never drift.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.monitoring.arrays import Floats
from model.monitoring.budget import Budget, distribution_budget, rate_budget
from model.monitoring.comparison import compare
from model.monitoring.evidence import Evidence, Span, Stream, feature_stream, summed_windows
from model.monitoring.ladder import Rung, ladder
from model.monitoring.margin import margin_evidence
from model.monitoring.policy import Policy, Timeline
from model.monitoring.quality import quality_streams
from model.monitoring.reference import ModelReference
from model.monitoring.results import DriftResult, FeatureDrift, overall
from model.monitoring.testing import tested_evidence


def decide(reference: ModelReference, timeline: Timeline, policy: Policy | None = None) -> DriftResult:
    """Check every feature and output of a model, and its data quality.

    Parameters
    ----------
    reference : ModelReference
        What training looked like.
    timeline : Timeline
        Counts of the periods to look at, counted by ``reference.count``; at least one.
    policy : Policy, optional
        How to decide; ``Policy()`` if left out.

    Returns
    -------
    DriftResult
        With one entry a feature and output, the most drifted first. No number in it is NaN.
    """
    policy = policy or Policy()
    if policy.name == "margin":
        rungs, spans = _rungs(timeline, policy)
    else:
        rungs, spans = [], [Span(len(timeline.periods))]
    streams, rates = _streams(reference, timeline, spans, policy)
    found = _answers(streams, rungs, policy)
    # The rule of thumb for p-values has no correction, and there are three rates a feature: they get one.
    quality = _answers(rates, rungs, replace(policy, name="holm") if policy.name == "ks_pvalue" else policy)
    verdict = overall((*found, *(one for one in quality if one.is_drift)))
    return DriftResult(
        verdict, policy.name, policy.parameters(), _n_rows(timeline), _sorted(found), _sorted(quality)
    )


def _n_rows(timeline: Timeline) -> int:
    # Every feature counts every row, so one tells all.
    return sum(next(iter(period.parts.values())).n_rows for period in timeline.periods if period.parts)


def _rungs(timeline: Timeline, policy: Policy) -> tuple[list[Rung], list[Span]]:
    # A rung longer than the history would see what a shorter one sees already.
    rungs = [
        rung
        for rung in ladder(policy.periods_per_month, policy.min_periods)
        if rung.n_open(timeline.last) + rung.n_periods <= len(timeline.periods)
    ]
    if not rungs:  # too early to judge: an empty window says so
        return list(ladder(policy.periods_per_month, policy.min_periods)[:1]), [Span(0)]
    return rungs, [Span(rung.n_periods, rung.n_open(timeline.last)) for rung in rungs]


def _streams(
    reference: ModelReference, timeline: Timeline, spans: Sequence[Span], policy: Policy
) -> tuple[list[Stream], list[Stream]]:
    streams, rates = [], []
    for feature in reference.features.values():
        windows = summed_windows(feature, timeline, spans)
        streams.append(feature_stream(feature, windows, spans, policy.delta_of(feature.name)))
        rates += quality_streams(feature, windows, spans, policy.quality_delta)
    return streams, rates


def _answers(streams: Sequence[Stream], rungs: Sequence[Rung], policy: Policy) -> list[FeatureDrift]:
    evidence = _evidence(streams, rungs, policy)
    return [compare(stream, one, policy) for stream, one in zip(streams, evidence, strict=True)]


def _evidence(streams: Sequence[Stream], rungs: Sequence[Rung], policy: Policy) -> list[Evidence]:
    if policy.name != "margin":
        return tested_evidence(streams, policy)
    share = rate_budget if streams and streams[0].shape == "rate" else distribution_budget
    budget = share(policy, len(streams))
    levels = np.array([budget.of_rung(rung, policy.looks_per_period) for rung in rungs])
    return [_margin(stream, budget, levels, policy) for stream in streams]


def _margin(stream: Stream, budget: Budget, levels: Floats, policy: Policy) -> Evidence:
    design_effect = policy.design_effects.get(stream.feature.name, 1.0)
    return margin_evidence(stream, budget, levels, design_effect)


def _sorted(checks: Sequence[FeatureDrift]) -> tuple[FeatureDrift, ...]:
    return tuple(sorted(checks, key=lambda check: (check.is_drift, check.effect or 0.0), reverse=True))
