"""The newest drift check of each model as gauges, for a page that Prometheus reads.

Knows stored reports only, so it is light; how gauges are written is the business of the page.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from utils.mongo.reports import ReportStore

OF_CHECK = ("model", "version", "feature", "check")
Labels = tuple[str, ...]


@dataclass(frozen=True)
class Gauge:
    """One gauge: ``samples`` are its values by those of its ``labels``, in their order."""

    name: str
    description: str
    labels: Labels
    samples: dict[Labels, float] = field(default_factory=dict)


def drift_gauges(reports: ReportStore, models: Iterable[str]) -> list[Gauge]:
    """Return the gauges of the newest scheduled check of each model; a model without one has no samples.

    Raises UnavailableError while MongoDB is away.
    """
    gauges = _gauges()
    for model in models:
        report = reports.newest_figures(model, "scheduled")
        if report is not None:
            _add_report(gauges, model, report)
    return list(gauges.values())


def _gauges() -> dict[str, Gauge]:
    score = "Statistic of the newest drift check, such as the Kolmogorov-Smirnov distance."
    found = [
        Gauge("drift_score", score, (*OF_CHECK, "method")),
        Gauge("drift_threshold", "What the statistic, or the p-value, was compared with.", OF_CHECK),
        Gauge("drift_p_value", "Chance of so large a difference if nothing had changed.", OF_CHECK),
        Gauge("drift_effect", "Size of the change, as a share of the rows.", OF_CHECK),
        Gauge("drift_rows", "Rows of the window that decided.", OF_CHECK),
        Gauge("drift_detected", "1 if the feature drifted, else 0.", OF_CHECK),
        Gauge("drift_model_detected", "1 if anything of the model drifted, else 0.", ("model", "version")),
        Gauge("drift_window_rows", "Rows that the newest drift check looked at.", ("model", "version")),
        Gauge("drift_last_check_timestamp_seconds", "When the newest drift check was.", ("model", "version")),
    ]
    return {gauge.name: gauge for gauge in found}


def _add_report(gauges: Mapping[str, Gauge], model: str, report: Mapping[str, Any]) -> None:
    whose = (model, str(report["version"]))
    gauges["drift_model_detected"].samples[whose] = float(report["drift"])
    gauges["drift_window_rows"].samples[whose] = float(report["n_rows"])
    gauges["drift_last_check_timestamp_seconds"].samples[whose] = report["checked_at"].timestamp()
    for check in (*report["features"], *report["quality"]):
        _add_check(gauges, (*whose, check["feature"], check["check"]), check)


def _add_check(gauges: Mapping[str, Gauge], labels: Labels, check: Mapping[str, Any]) -> None:
    gauges["drift_detected"].samples[labels] = float(check["drift"])
    gauges["drift_rows"].samples[labels] = float(check["n"])
    if check["statistic"] is not None:
        gauges["drift_score"].samples[(*labels, check["statistic_name"])] = float(check["statistic"])
    for name in ("threshold", "p_value", "effect"):
        if check[name] is not None:
            gauges[f"drift_{name}"].samples[labels] = float(check[name])
