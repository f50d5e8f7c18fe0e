"""When a change seems to have begun."""

import numpy as np

from model.monitoring.arrays import Floats, Ints
from model.monitoring.evidence import Evidence, Stream
from model.monitoring.policy import Timeline


def onset(stream: Stream, evidence: Evidence, timeline: Timeline) -> int | None:
    """Return the number of the period in which the change at the evidence's place most likely began.

    It is the most likely moment for a share to jump from the reference's value to the window's (Page,
    "Continuous inspection schemes", Biometrika 41 (1954)): where the sum of what lies above their middle is
    lowest. None if there is no place.
    """
    place, window = evidence.place, evidence.window
    if place is None or not window.sum() or not stream.m:
        return None
    periods = stream.read(timeline.stacked.parts[stream.part].astype(np.int64))
    middle = (_share(stream.reference, evidence) + _share(window, evidence)) / 2
    gains = _within(periods, evidence) - middle * periods.sum(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(gains if place.is_up else -gains)])
    n_known = len(timeline.periods) - evidence.span.n_ago
    return timeline.last - len(timeline.periods) + 1 + int(sums[:n_known].argmin())


def _within(counts: Ints, evidence: Evidence) -> Floats:
    place = evidence.place
    if place is not None and place.is_cumulative:
        return np.asarray(counts[:, : place.cell + 1].sum(axis=1), dtype=np.float64)
    return np.asarray(counts[:, place.cell if place is not None else 0], dtype=np.float64)


def _share(counts: Ints, evidence: Evidence) -> float:
    return float(_within(counts[np.newaxis], evidence)[0] / counts.sum())
