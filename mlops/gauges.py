"""What MongoDB knows of models in production as gauges: alerts, quality, labels, jobs, versions. Light."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mlops.drift_gauges import Gauge, drift_gauges
from mlops.services import Services
from model.artifact import PIPELINE

FINE = ("ok", "late")
HOUR_S = 3_600.0


def all_gauges(services: Services) -> list[Gauge]:
    """Return every gauge. Raises UnavailableError while MongoDB is away."""
    parts: tuple[Callable[[Services], Iterable[Gauge]], ...] = (_alerts, _quality, _jobs)
    found = drift_gauges(services.drift_reports, services.names())
    return [*found, *(gauge for part in parts for gauge in part(services))]


def versions(services: Services) -> Gauge:
    """Return what this process answers with; needs no MongoDB."""
    gauge = Gauge("model_info", "1 for each live version.", ("model", "version", "digest", "served_by"))
    for model, served in services.serving.live().items():
        loaded = served.loaded
        digest = loaded.manifest.parts[PIPELINE][:12]
        gauge.samples[model, loaded.version, digest, loaded.predictor.served_by] = 1.0
    return gauge


def log_counts(services: Services) -> list[Gauge]:
    """Return the ledger of the log: of this process as of now, of others as of a second ago at most."""
    counts = services.log_counts()
    records = Gauge("log_records_total", "Rows answered, and stored in MongoDB.", ("outcome",))
    records.samples.update({("answered",): float(counts.answered), ("stored",): float(counts.stored)})
    waiting = Gauge("log_queue_depth", "Rows answered that wait in spools.", ())
    lost = Gauge("log_difference_rows", "Rows answered that are neither stored nor waiting.", ())
    waiting.samples[()], lost.samples[()] = float(counts.spooled), float(counts.difference)
    return [records, waiting, lost]


def _alerts(services: Services) -> list[Gauge]:
    gauge = Gauge("alert_active", "1 for each open alert.", ("model", "check"))
    gauge.samples.update({(one["model"], one["key"]): 1.0 for one in services.alerts.list(state="open")})
    return [gauge]


def _quality(services: Services) -> list[Gauge]:
    value = Gauge("quality_value", "Metric of the newest measured window.", ("model", "version", "metric"))
    coverage = Gauge("label_coverage_ratio", "Share of its rows that have a label.", ("model",))
    delay = Gauge("label_delay_seconds", "Median time from prediction to label.", ("model",))
    for model in services.names():
        report = services.quality_reports.latest(model) or {}
        if report.get("coverage") is not None:
            coverage.samples[(model,)] = float(report["coverage"])
        if report.get("delay_hours"):
            delay.samples[(model,)] = report["delay_hours"]["median"] * HOUR_S
        for part in report.get("versions", ()):
            value.samples.update(_metrics(model, part))
    return [value, coverage, delay]


def _metrics(model: str, part: Mapping[str, Any]) -> dict[tuple[str, ...], float]:
    """Return what was measured of one version."""
    found = {name: one["value"] for name, one in part["metrics"].items()}
    return {(model, part["version"], name): float(v) for name, v in found.items() if v is not None}


def _jobs(services: Services) -> list[Gauge]:
    last = Gauge("scheduler_last_success_timestamp_seconds", "When a job last went well.", ("job",))
    totals = services.job_runs.totals()
    for job in dict.fromkeys(job for job, _ in totals):
        ends = [run for outcome in FINE if (run := services.job_runs.last(job, outcome=outcome))]
        if ends:
            last.samples[(job,)] = max(run["finished_at"] for run in ends).timestamp()
    runs = Gauge("scheduler_runs_total", "Runs that have ended.", ("job", "outcome"))
    runs.samples.update({key: float(n_runs) for key, n_runs in totals.items()})
    return [runs, last]
