"""One finished answer about one stream: evidence put together with sizes, medians and words."""

from model.monitoring.arrays import Ints
from model.monitoring.cells import NumberCells
from model.monitoring.evidence import Evidence, Stream
from model.monitoring.onset import onset
from model.monitoring.policy import Policy, Timeline
from model.monitoring.results import FeatureDrift, Verdict
from model.monitoring.statistics import (
    binned,
    chi_square,
    hellinger,
    jensen_shannon,
    ks_distance,
    ks_error,
    ks_p_value,
    largest_share_change,
    mann_whitney,
    psi,
    quantile,
    quantile_bins,
    rate_p_value,
    total_variation,
    wasserstein,
)
from model.monitoring.words import describe, describe_place


def compare(stream: Stream, evidence: Evidence, timeline: Timeline, policy: Policy) -> FeatureDrift:
    """Return the finished answer about one stream."""
    window, verdict = evidence.window, _verdict(stream, evidence, policy)
    return FeatureDrift(
        feature=stream.label,
        role=stream.role,
        check=stream.check,
        statistic_name=evidence.statistic_name,
        statistic=evidence.statistic,
        threshold=evidence.threshold,
        threshold_on=evidence.threshold_on,
        p_value=p_value(stream, window),
        effect=effect(stream, window),
        n=evidence.n,
        m=stream.m,
        n_periods=evidence.span.n_periods,
        n_periods_ago=evidence.span.n_ago,
        verdict=verdict,
        sentence=describe(stream, evidence),
        median_reference=_median(stream, stream.reference),
        median_current=_median(stream, window),
        since_period=onset(stream, evidence, timeline) if verdict == "drift" else None,
        place=describe_place(stream, evidence.place),
        distances=distances(stream, window),
    )


def p_value(stream: Stream, window: Ints) -> float | None:
    """Return the chance of so large a difference if nothing had changed: Kolmogorov-Smirnov or chi-square."""
    if stream.shape == "number":
        return ks_p_value(stream.reference, window)
    if stream.shape == "rate":
        return rate_p_value(stream.reference, window)
    found = chi_square(stream.reference, window)
    return None if found is None else found.p_value


def effect(stream: Stream, window: Ints) -> float | None:
    """Return the size of the change, in [0, 1]: KS distance, or largest change of a share."""
    if stream.shape == "number":
        return ks_distance(stream.reference, window)
    change = largest_share_change(stream.reference, window)
    return None if change is None else abs(change[1])


def distances(stream: Stream, window: Ints) -> dict[str, float | None]:
    """Return further distances, for people who know them; none for a rate.

    Those of shares are of tenths of the reference where the feature is a number.
    """
    if stream.shape == "rate":
        return {}
    if stream.shape == "category":
        return _share_distances(stream.reference, window)
    bins = quantile_bins(stream.reference)
    found = _share_distances(binned(stream.reference, bins), binned(window, bins))
    return found | _number_distances(stream, window)


def _share_distances(reference: Ints, window: Ints) -> dict[str, float | None]:
    return {
        "psi": psi(reference, window),
        "jensen_shannon": jensen_shannon(reference, window),
        "hellinger": hellinger(reference, window),
        "total_variation": total_variation(reference, window),
    }


def _number_distances(stream: Stream, window: Ints) -> dict[str, float | None]:
    cells = None if stream.feature is None else stream.feature.cells
    width = wasserstein(cells.borders, stream.reference, window) if isinstance(cells, NumberCells) else None
    return {
        "ks_error": ks_error(stream.reference),
        "mann_whitney": mann_whitney(stream.reference, window),
        "wasserstein_low": None if width is None else width.low,
        "wasserstein_high": None if width is None else width.high,
    }


def _median(stream: Stream, counts: Ints) -> float | None:
    cells = None if stream.feature is None else stream.feature.cells
    if stream.shape != "number" or not isinstance(cells, NumberCells):
        return None
    return quantile(cells.borders, counts, 0.5)


def _verdict(stream: Stream, evidence: Evidence, policy: Policy) -> Verdict:
    if min(evidence.n, stream.m) < policy.min_rows or evidence.statistic is None:
        return "insufficient_data"
    return "drift" if evidence.is_beyond else "ok"
