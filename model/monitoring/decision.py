"""From counts to verdicts.

Four policies (see ``Policy``); each gives every feature a statistic, the threshold that was really used, and
a verdict. Too few rows are "insufficient_data", never drift.
"""

from collections.abc import Sequence
from dataclasses import replace

from model.monitoring.comparison import compare
from model.monitoring.evidence import Evidence, Stream, feature_stream
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
    features = reference.features.values()
    streams = [feature_stream(one, timeline, policy.delta_of(one.name)) for one in features]
    rates = [stream for one in features for stream in quality_streams(one, timeline, policy)]
    found = _answers(streams, policy)
    # The rule of thumb for p-values has no correction, and there are three rates a feature: they get one.
    quality = _answers(rates, replace(policy, name="holm") if policy.name == "ks_pvalue" else policy)
    verdict = overall((*found, *(one for one in quality if one.is_drift)))
    n_rows = sum(period.n_rows for period in timeline.periods)
    return DriftResult(verdict, policy.name, policy.parameters(), n_rows, _sorted(found), _sorted(quality))


def _answers(streams: Sequence[Stream], policy: Policy) -> list[FeatureDrift]:
    evidence = _evidence(streams, policy)
    return [compare(stream, one, policy) for stream, one in zip(streams, evidence, strict=True)]


def _evidence(streams: Sequence[Stream], policy: Policy) -> list[Evidence]:
    if policy.name == "margin":
        return [margin_evidence(stream, policy, len(streams)) for stream in streams]
    return tested_evidence(streams, policy)


def _sorted(checks: Sequence[FeatureDrift]) -> tuple[FeatureDrift, ...]:
    return tuple(sorted(checks, key=lambda check: (check.is_drift, check.effect or 0.0), reverse=True))
