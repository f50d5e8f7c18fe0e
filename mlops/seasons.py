"""A check where a day or week cycle is normal: two questions that share the budget.

Is this period like the same hour of earlier days or weeks, and are whole days or weeks like the reference?
"""

from collections.abc import Sequence
from dataclasses import replace

from model.monitoring.decision import decide
from model.monitoring.policy import Policy, Timeline
from model.monitoring.reference import ModelReference
from model.monitoring.results import DriftResult, FeatureDrift, overall


def decide_in_season(
    reference: ModelReference,
    usual: ModelReference | None,
    timeline: Timeline,
    policy: Policy,
    n_phases: int,
) -> DriftResult:
    """Return one result of both questions.

    Parameters
    ----------
    usual : ModelReference, optional
        What the newest period was like in earlier seasons; None where too little is known.
    n_phases : int
        Periods of a season.
    """
    half = replace(policy, alpha=policy.alpha / 2)
    whole = decide(reference, timeline, replace(half, min_periods=n_phases))
    if usual is None:
        return whole
    newest = Timeline(timeline.periods[-1:], timeline.last)
    # The season is in the reference of this question: what rows of an hour share is no dependence here.
    return merged(whole, decide(usual, newest, replace(half, n_references=n_phases, design_effects={})))


def merged(whole: DriftResult, phase: DriftResult) -> DriftResult:
    """Return one result of two questions about the same features: for each check the one that found more."""

    def worse(one: Sequence[FeatureDrift], other: Sequence[FeatureDrift]) -> tuple[FeatureDrift, ...]:
        found: dict[tuple[str, str], FeatureDrift] = {}
        for check in (*one, *other):
            known = found.get((check.feature, check.check))
            if known is None or _weight(check) > _weight(known):
                found[check.feature, check.check] = check
        return tuple(
            sorted(found.values(), key=lambda check: (check.is_drift, check.effect or 0), reverse=True)
        )

    features, quality = worse(whole.features, phase.features), worse(whole.quality, phase.quality)
    pairs, segments = worse(whole.pairs, phase.pairs), worse(whole.segments, phase.segments)
    further = [check for check in (*quality, *pairs, *segments) if check.is_drift]
    return replace(
        whole,
        verdict=overall((*features, *further)),
        features=features,
        quality=quality,
        pairs=pairs,
        segments=segments,
        touched={**phase.touched, **whole.touched},
    )


def _weight(check: FeatureDrift) -> tuple[bool, bool, float]:
    return check.is_drift, check.verdict == "ok", check.effect or 0.0
