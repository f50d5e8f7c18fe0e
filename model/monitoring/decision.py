"""From counts to verdicts.

Four policies (see ``Policy``); each gives every feature a statistic, the threshold that was really used, and
a verdict. Too few rows are "insufficient_data", never drift.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.monitoring.budget import StreamKind, share_of
from model.monitoring.comparison import compare
from model.monitoring.evidence import Evidence, Span, Stream, feature_stream, summed_windows
from model.monitoring.ladder import Rung, ladder
from model.monitoring.margin import margin_evidence
from model.monitoring.pairs import PAIRS
from model.monitoring.policy import Policy, Timeline
from model.monitoring.quality import pair_streams, quality_streams
from model.monitoring.rates import rates_evidence
from model.monitoring.reference import ModelReference
from model.monitoring.results import DriftResult, FeatureDrift, overall
from model.monitoring.testing import tested_evidence

_N_PAIRS_SHOWN = 5


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
    check = _Check(timeline, policy, rungs)
    streams, rates, pairs = _questions(reference, timeline, spans, policy)
    features, quality = check.answers("distribution", streams), check.answers("rate", rates)
    agreements = check.agreements(pairs, {one.feature for one in (*features, *quality) if one.is_drift})
    verdict = overall((*features, *(one for one in (*quality, *agreements) if one.is_drift)))
    n_rows = timeline.stacked.n_rows()
    return DriftResult(verdict, policy.name, policy.parameters(), n_rows, features, quality, agreements)


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


def _questions(
    reference: ModelReference, timeline: Timeline, spans: Sequence[Span], policy: Policy
) -> tuple[list[Stream], list[Stream], list[Stream]]:
    streams: list[Stream] = []
    rates: list[Stream] = []
    for name, feature in reference.features.items():
        windows = summed_windows(timeline.stacked.parts[name], spans)
        streams.append(feature_stream(feature, windows, spans, policy.delta_of(name)))
        rates += quality_streams(feature, windows, spans, policy.quality_delta)
    if reference.pairs is None:
        return streams, rates, []
    windows = summed_windows(timeline.stacked.parts[PAIRS], spans)
    return streams, rates, pair_streams(reference.pairs, windows, spans, policy.delta_of)


@dataclass(frozen=True, slots=True)
class _Check:
    """One check under way."""

    timeline: Timeline
    policy: Policy
    rungs: Sequence[Rung]

    def answers(self, kind: StreamKind, streams: Sequence[Stream]) -> tuple[FeatureDrift, ...]:
        """Return the answers to all questions of a kind, what drifted first."""
        found = zip(streams, self._evidence(kind, streams), strict=True)
        return self._compared(list(found))

    def agreements(self, streams: Sequence[Stream], drifted: set[str]) -> tuple[FeatureDrift, ...]:
        """Return what a report names of the pairs: those that drifted though neither member did, and a few
        more.

        A member that drifts itself takes all its pairs along, which is no news.
        """
        found = [
            (stream, evidence)
            for stream, evidence in zip(streams, self._evidence("pair", streams), strict=True)
            if drifted.isdisjoint(stream.members)
        ]
        found.sort(key=lambda pair: pair[1].strength, reverse=True)
        n_beyond = sum(evidence.is_beyond for _, evidence in found)
        return self._compared(found[: max(n_beyond, _N_PAIRS_SHOWN)])

    def _compared(self, found: Sequence[tuple[Stream, Evidence]]) -> tuple[FeatureDrift, ...]:
        checks = [compare(stream, evidence, self.timeline, self.policy) for stream, evidence in found]
        return tuple(sorted(checks, key=lambda one: (one.is_drift, one.effect or 0.0), reverse=True))

    def _evidence(self, kind: StreamKind, streams: Sequence[Stream]) -> list[Evidence]:
        if self.policy.name != "margin":
            return tested_evidence(streams, _corrected(self.policy, kind))
        budget = share_of(self.policy, kind, len(streams))
        levels = np.array([budget.of_rung(rung, self.policy.looks_per_period) for rung in self.rungs])
        effects = [_design_effect(stream, self.policy) for stream in streams]
        if kind != "distribution":
            return rates_evidence(streams, budget, levels, np.array(effects))
        pairs = zip(streams, effects, strict=True)
        return [margin_evidence(stream, budget, levels, effect) for stream, effect in pairs]


def _corrected(policy: Policy, kind: StreamKind) -> Policy:
    # The rule of thumb for p-values has no correction, and there are many rates: they get one.
    is_loose = policy.name == "ks_pvalue" and kind != "distribution"
    return replace(policy, name="holm") if is_loose else policy


def _design_effect(stream: Stream, policy: Policy) -> float:
    if stream.feature is None:  # a pair is as dependent as the worst feature
        return max(policy.design_effects.values(), default=1.0)
    return policy.design_effects.get(stream.part, 1.0)
