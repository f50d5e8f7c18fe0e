"""Further streams: values missing, unseen, out of range or of a wrong type; pairs; what goes together."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells, NumberCells
from model.monitoring.evidence import Span, Stream, feature_stream, summed_windows
from model.monitoring.feature import FeatureReference
from model.monitoring.joint import JOINT, JointReference
from model.monitoring.pairs import PAIRS, PairReference
from model.monitoring.policy import Timeline
from model.monitoring.results import Check


def quality_streams(
    feature: FeatureReference, windows: Ints, spans: Sequence[Span], delta: float
) -> list[Stream]:
    """Return the rates to watch for one feature, each against its rate in training.

    ``windows`` has shape (n_spans, n_values + 2).
    """
    checks: list[Check] = ["missing", "type_fault"]
    checks.append("unseen" if feature.kind == "category" else "out_of_range")
    return [_rate_stream(feature, check, windows, spans, delta) for check in checks]


def _rate_stream(
    feature: FeatureReference, check: Check, windows: Ints, spans: Sequence[Span], delta: float
) -> Stream:
    read = partial(rate, feature, check)
    reference = read(feature.counts.values[np.newaxis])[0]
    return Stream(
        label=feature.label,
        role="output" if feature.is_output else "feature",
        check=check,
        shape="rate",
        reference=reference,
        windows=read(windows),
        spans=spans,
        delta=delta,
        part=feature.name,
        read=read,
        feature=feature,
        limits={0: _limit(feature, check, reference)},
    )


def _limit(feature: FeatureReference, check: Check, reference: Ints) -> tuple[int, int]:
    if check == "unseen":
        return feature.unseen_sample
    # Training's own smallest and largest values end the range: what lies beyond them has the law of one more
    # row.
    n_more = 1 if check == "out_of_range" else 0
    return int(reference[0]) + n_more, int(reference.sum())


def pair_streams(
    pairs: PairReference, windows: Ints, spans: Sequence[Span], delta_of: Callable[[str], float]
) -> list[Stream]:
    """Return the rates of agreement of all pairs; ``windows`` has shape (n_spans, n_counts of the pairs).

    A pair's practical size is the sum of its members': so much can agreement change while neither member
    moves by more than its own.
    """
    return [
        _pair_stream(pairs, position, members, windows, spans, delta_of(members[0]) + delta_of(members[1]))
        for position, members in enumerate(pairs.cells.names)
    ]


def _pair_stream(
    pairs: PairReference,
    position: int,
    members: tuple[str, str],
    windows: Ints,
    spans: Sequence[Span],
    delta: float,
) -> Stream:
    read = partial(pairs.cells.read, position)
    return Stream(
        label=" and ".join(members),
        role="pair",
        check="agreement",
        shape="rate",
        reference=read(pairs.counts.values[np.newaxis])[0],
        windows=read(windows),
        spans=spans,
        delta=delta,
        part=PAIRS,
        read=read,
        members=members,
    )


def joint_streams(
    joint: JointReference, timeline: Timeline, spans: Sequence[Span], delta_of: Callable[[str], float]
) -> list[Stream]:
    """Return the stream of each feature's scores: does it still go with the others?

    Its practical size is twice the feature's: scores follow shifts of others that are too small to matter.
    """
    found = []
    for name in joint.tables:
        score = joint.scores[JOINT + name]
        windows = summed_windows(timeline.stacked.parts[score.name], spans)
        partners = joint.partners(name)
        stream = feature_stream(score, windows, spans, 2 * delta_of(name))
        label = f"{name} with {', '.join(partners)}"
        members = (name, *partners)
        found.append(replace(stream, label=label, role="pair", check="together", members=members))
    return found


def rate(feature: FeatureReference, check: Check, windows: Ints) -> Ints:
    """Return rows that have the property and rows that could but do not; shape (n_windows, 2)."""
    n_rows, values = windows.sum(axis=1), windows[:, : feature.cells.n_values]
    if check in ("missing", "type_fault"):
        n_with, n_all = windows[:, -2 if check == "missing" else -1], n_rows
    else:
        n_with, n_all = _outside(feature, values), values.sum(axis=1)
    return np.stack([n_with, n_all - n_with], axis=1)


def _outside(feature: FeatureReference, values: Ints) -> Ints:
    if isinstance(feature.cells, CategoryCells):
        return values[:, -1]
    inside = values[:, _inside(feature, feature.cells)]
    return np.asarray(values.sum(axis=1) - inside.sum(axis=1), dtype=np.int64)


def _inside(feature: FeatureReference, cells: NumberCells) -> slice:
    # Both ends of the range are borders: those of training by construction, those of the spec by being added.
    low = 0 if feature.low is None else 2 * (int(cells.borders.searchsorted(feature.low)) + 1)
    high = cells.n_values if feature.high is None else 2 * (int(cells.borders.searchsorted(feature.high)) + 1)
    return slice(low, high + 1)
