"""One finished answer about one stream: evidence put together with sizes, medians and words."""

from model.monitoring.arrays import Ints
from model.monitoring.cells import CategoryCells, NumberCells
from model.monitoring.evidence import Evidence, Stream
from model.monitoring.policy import Policy
from model.monitoring.reference import FeatureReference
from model.monitoring.results import FeatureDrift, Verdict
from model.monitoring.statistics import (
    Bounds,
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
    total_variation,
    wasserstein,
)
from model.monitoring.words import describe_change, describe_rate


def compare(stream: Stream, evidence: Evidence, policy: Policy) -> FeatureDrift:
    """Return the finished answer about one stream."""
    feature, window = stream.feature, evidence.window
    return FeatureDrift(
        feature=feature.label,
        role="output" if feature.is_output else "feature",
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
        verdict=_verdict(stream, evidence, policy),
        sentence=_sentence(stream, window),
        median_reference=_median(stream, stream.reference),
        median_current=_median(stream, window),
        distances=distances(stream, window),
    )


def p_value(stream: Stream, window: Ints) -> float | None:
    """Return the chance of so large a difference if nothing had changed: Kolmogorov-Smirnov or chi-square."""
    if stream.shape == "number":
        return ks_p_value(stream.reference, window)
    found = chi_square(stream.reference, window)
    return None if found is None else found.p_value


def effect(stream: Stream, window: Ints) -> float | None:
    """Return the size of the change, in [0, 1]: KS distance, or largest change of a share."""
    if stream.shape == "number":
        return ks_distance(stream.reference, window)
    change = largest_share_change(stream.reference, window)
    return None if change is None else abs(change[1])


def distances(stream: Stream, window: Ints) -> dict[str, float | None]:
    """Return further distances, for people who know them; a number's are of tenths of the reference."""
    reference = stream.reference
    if stream.shape != "number":
        return _bin_distances(reference, window)
    bins = quantile_bins(reference)
    found = _bin_distances(binned(reference, bins), binned(window, bins))
    return found | _number_distances(stream.feature, reference, window)


def _bin_distances(reference: Ints, window: Ints) -> dict[str, float | None]:
    return {
        "psi": psi(reference, window),
        "jensen_shannon": jensen_shannon(reference, window),
        "hellinger": hellinger(reference, window),
        "total_variation": total_variation(reference, window),
    }


def _number_distances(feature: FeatureReference, reference: Ints, window: Ints) -> dict[str, float | None]:
    borders = feature.cells.borders if isinstance(feature.cells, NumberCells) else None
    width = Bounds(0.0, None) if borders is None else wasserstein(borders, reference, window)
    return {
        "ks_error": ks_error(reference),
        "mann_whitney": mann_whitney(reference, window),
        "wasserstein_low": None if width is None else width.low,
        "wasserstein_high": None if width is None else width.high,
    }


def _median(stream: Stream, counts: Ints) -> float | None:
    cells = stream.feature.cells
    if stream.shape != "number" or isinstance(cells, CategoryCells):
        return None
    return quantile(cells.borders, counts, 0.5)


def _verdict(stream: Stream, evidence: Evidence, policy: Policy) -> Verdict:
    if min(evidence.n, stream.m) < policy.min_rows or evidence.statistic is None:
        return "insufficient_data"
    return "drift" if evidence.is_beyond else "ok"


def _sentence(stream: Stream, window: Ints) -> str:
    if stream.shape != "rate":
        return describe_change(stream.feature, stream.reference, window)
    before, after = (counts[0] / max(1, counts.sum()) for counts in (stream.reference, window))
    return describe_rate(stream.feature.label, stream.check, float(before), float(after))
