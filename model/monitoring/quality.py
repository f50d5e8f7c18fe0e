"""Data quality as streams: how often values are missing, unseen, out of range or of a wrong type."""

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import Counts
from model.monitoring.evidence import Stream
from model.monitoring.policy import Policy, Timeline
from model.monitoring.reference import FeatureReference
from model.monitoring.results import Check


def quality_streams(feature: FeatureReference, timeline: Timeline, policy: Policy) -> list[Stream]:
    """Return the rates to watch for one feature, each against its rate in training."""
    checks: list[Check] = ["missing", "type_fault"]
    checks.append("unseen" if feature.kind == "category" else "out_of_range")
    return [_rate_stream(feature, check, timeline, policy.quality_delta) for check in checks]


def _rate_stream(feature: FeatureReference, check: Check, timeline: Timeline, delta: float) -> Stream:
    periods = np.stack([_rate(feature, check, period.parts[feature.name]) for period in timeline.periods])
    return Stream(feature, check, "rate", _rate(feature, check, feature.counts), periods, delta)


def _rate(feature: FeatureReference, check: Check, counts: Counts) -> Ints:
    n_values = int(feature.values(counts).sum())
    with_property, of_all = {
        "missing": (feature.n_missing(counts), counts.n_rows),
        "type_fault": (feature.n_faults(counts), counts.n_rows),
        "unseen": (feature.n_unseen(counts), n_values),
        "out_of_range": (feature.n_out_of_range(counts), n_values),
    }[check]
    return np.array([with_property, of_all - with_property], dtype=np.int64)
