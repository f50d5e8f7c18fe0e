"""From counts to verdicts.

Four policies (see ``Policy``); each gives every feature a statistic, the threshold that was really used, and
a verdict. Too few rows are "insufficient_data", never drift.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.monitoring.arrays import Floats
from model.monitoring.budget import Budget, StreamKind, part_of, share_of
from model.monitoring.comparison import compare
from model.monitoring.evidence import Evidence, Span, Stream, feature_stream, summed_windows
from model.monitoring.ladder import Rung, ladder
from model.monitoring.margin import margin_evidence
from model.monitoring.pairs import PAIRS
from model.monitoring.policy import Policy, Timeline
from model.monitoring.quality import joint_streams, pair_streams, quality_streams
from model.monitoring.rates import rates_evidence
from model.monitoring.reference import ModelReference
from model.monitoring.results import DriftResult, FeatureDrift, Touched, overall
from model.monitoring.segment_windows import SegmentWindows
from model.monitoring.segmented import (
    candidates,
    evidence_of,
    n_streams,
    segment_stream,
    segment_windows,
    touched,
)
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
    check = _Check(reference, timeline, policy, rungs, spans)
    streams, rates, pairs = _questions(reference, timeline, spans, policy)
    features, quality = check.answers("distribution", streams), check.answers("rate", rates)
    drifted = {one.feature for one in (*features, *quality) if one.is_drift}
    agreements = check.agreements(pairs, drifted)
    together = (*agreements, *check.joint(drifted | _members(reference, agreements)))
    segments = check.segments(drifted)
    verdict = overall((*features, *(one for one in (*quality, *together, *segments) if one.is_drift)))
    n_rows = timeline.stacked.n_rows()
    parameters = policy.parameters()
    touched = check.touched(features)
    return DriftResult(
        verdict, policy.name, parameters, n_rows, features, quality, together, segments, touched
    )


def _members(reference: ModelReference, agreements: Sequence[FeatureDrift]) -> set[str]:
    """Return the features of pairs that drifted: that their scores fell is no news."""
    names = reference.pairs.cells.names if reference.pairs else []
    labels = {one.feature for one in agreements if one.is_drift}
    return {name for members in names if " and ".join(members) in labels for name in members}


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

    reference: ModelReference
    timeline: Timeline
    policy: Policy
    rungs: Sequence[Rung]
    spans: Sequence[Span]

    def answers(self, kind: StreamKind, streams: Sequence[Stream]) -> tuple[FeatureDrift, ...]:
        """Return the answers to all questions of a kind, what drifted first."""
        found = zip(streams, self._evidence(kind, streams), strict=True)
        return self._compared(list(found))

    def agreements(self, streams: Sequence[Stream], drifted: set[str]) -> tuple[FeatureDrift, ...]:
        """Return what a report names of the pairs: those that drifted though neither member did, and a few
        more.

        A member that drifts itself takes all its pairs along, which is no news.
        """
        return self._shown("pair", streams, drifted)

    def joint(self, drifted: set[str]) -> tuple[FeatureDrift, ...]:
        """Return which features no longer go with the others, shown as ``agreements`` are."""
        if self.reference.joint is None:
            return ()
        streams = joint_streams(self.reference.joint, self.timeline, self.spans, self.policy.delta_of)
        return self._shown("joint", streams, drifted)

    def _shown(
        self, kind: StreamKind, streams: Sequence[Stream], drifted: set[str]
    ) -> tuple[FeatureDrift, ...]:
        found = [
            (stream, evidence)
            for stream, evidence in zip(streams, self._evidence(kind, streams), strict=True)
            if drifted.isdisjoint(stream.members)
        ]
        return self._strongest(found)

    def _strongest(self, found: list[tuple[Stream, Evidence]]) -> tuple[FeatureDrift, ...]:
        found = sorted(found, key=lambda pair: pair[1].strength, reverse=True)
        n_beyond = sum(evidence.is_beyond for _, evidence in found)
        return self._compared(found[: max(n_beyond, _N_PAIRS_SHOWN)])

    def segments(self, drifted: set[str]) -> tuple[FeatureDrift, ...]:
        """Return the segments in which a feature changed though neither it nor the segments did, and a few
        more."""
        windows = segment_windows(self.reference, self.timeline, self.spans)
        if not windows:
            return ()
        if self.policy.name != "margin":
            return self._shown("segment", self._segment_streams(windows, drifted), drifted)
        budget = share_of(self.policy, "segment", n_streams(windows))
        found = candidates(windows, self.policy, budget, self._levels(budget))
        news = [one for one in found if drifted.isdisjoint(one.members)]
        n_beyond = sum(one.strength > 1 for one in news)
        return self._compared(
            [
                (stream, evidence_of(one, stream))
                for one in news[: max(n_beyond, _N_PAIRS_SHOWN)]
                for stream in [self._segment_stream(one.windows, one.feature, one.segment)]
            ]
        )

    def _segment_streams(self, windows: Sequence[SegmentWindows], drifted: set[str]) -> list[Stream]:
        return [
            self._segment_stream(one, name, segment)
            for one in windows
            for name in one.reference.cells.cells
            for segment in range(len(one.reference.cells.labels))
            if drifted.isdisjoint((name, one.reference.cells.name))
        ]

    def _segment_stream(self, windows: SegmentWindows, name: str, segment: int) -> Stream:
        return segment_stream(self.reference, windows, name, segment, self.policy.delta_of(name))

    def touched(self, features: Sequence[FeatureDrift]) -> dict[str, tuple[Touched, ...]]:
        """Return for each feature that drifted the segments in which it moved most."""
        drifted = [one for one in features if one.is_drift]
        windows = segment_windows(self.reference, self.timeline, self.spans) if drifted else []
        found = {one.feature: touched(windows, one, self.policy.min_rows) for one in drifted}
        return {name: some for name, some in found.items() if some}

    def _levels(self, budget: Budget) -> Floats:
        return np.array([budget.of_rung(rung, self.policy.looks_per_period) for rung in self.rungs])

    def _compared(self, found: Sequence[tuple[Stream, Evidence]]) -> tuple[FeatureDrift, ...]:
        checks = [compare(stream, evidence, self.timeline, self.policy) for stream, evidence in found]
        return tuple(sorted(checks, key=lambda one: (one.is_drift, one.effect or 0.0), reverse=True))

    def _evidence(self, kind: StreamKind, streams: Sequence[Stream]) -> list[Evidence]:
        if self.policy.name != "margin":
            return tested_evidence(streams, _corrected(self.policy, kind))
        budget = share_of(self.policy, kind, len(streams))
        levels = self._levels(budget)
        effects = [_design_effect(stream, self.policy) for stream in streams]
        if kind in ("rate", "pair"):
            return rates_evidence(streams, budget, levels, np.array(effects))
        pairs = zip(streams, effects, strict=True)
        return [margin_evidence(stream, budget, levels, effect) for stream, effect in pairs]


def _corrected(policy: Policy, kind: StreamKind) -> Policy:
    if kind == "distribution":
        return policy
    # The rule of thumb for p-values has no correction, and there are many rates and segments: they get one.
    name = "holm" if policy.name == "ks_pvalue" else policy.name
    return replace(policy, name=name, alpha=policy.alpha * part_of(kind))


def _design_effect(stream: Stream, policy: Policy) -> float:
    if stream.role == "pair":  # as dependent as the worst feature
        return max(policy.design_effects.values(), default=1.0)
    return policy.design_effects.get(stream.part, 1.0)
