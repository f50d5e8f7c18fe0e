"""Quality: realised and expected over time, how many labels came and when, confusion, calibration."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import render_template, request

from app import charts
from app.auth import needs
from app.context import services
from app.dashboard import blueprint
from app.dashboard.figures import figure, percent, whole
from app.dashboard.language import t
from app.dashboard.overview import known_events
from mlops.standing import DECIDED, part_of
from utils.errors import UnavailableError
from utils.time import now

N_WINDOWS = 90
DAY = timedelta(days=1)


@blueprint.get("/<model>/quality")
@needs("admin")
def quality(model: str) -> str:
    """Show how good a model was, window by window."""
    services().require(model)
    try:
        reports = services().quality_reports.list(model, N_WINDOWS)[::-1]
    except UnavailableError:
        return render_template("quality.html", model=model, reports=[], problem=t("away"), at=now())
    if not reports:
        return render_template("quality.html", model=model, reports=[], problem=None, at=now())
    return render_template("quality.html", model=model, problem=None, at=now(), **_found(model, reports))


def _found(model: str, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    chosen = _chosen(reports)
    part = part_of(chosen)
    metrics = list(part["metrics"]) if part else []
    asked = request.args.get("metric")
    metric = asked if asked in metrics else (part["metric"] if part else None)
    axis = charts.Axis(reports[0]["window_start"], reports[-1]["window_end"])
    events = known_events(model)
    points = [_point(one, metric) for one in reports]
    return {
        "reports": reports,
        "chosen": chosen,
        "part": part,
        "metrics": metrics,
        "metric": metric,
        "points": points,
        "chart": charts.series(
            axis, points, _point_title, limit=_training(model, chosen, metric), events=events
        ),
        "training": _training(model, chosen, metric),
        "coverage": charts.series(axis, [_coverage(one) for one in reports], _coverage_title, events=events),
        "calibration": _calibration(part),
        "thresholds": thresholds(part["calibration"]) if part and part["calibration"] else [],
    }


def _chosen(reports: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the window that was asked for, else the newest that says something, else the newest."""
    asked = request.args.get("at")
    by_start = {one["window_start"].isoformat(): one for one in reports}
    if asked in by_start:
        return by_start[asked]
    return next((one for one in reversed(reports) if one["verdict"] in DECIDED), reports[-1])


def _point(report: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    part = part_of(report) or {}
    found = part.get("metrics", {}).get(metric) or {}
    expected = (part.get("estimated") or {}).get(metric) or {}
    return {
        "at": report["window_start"] + (report["window_end"] - report["window_start"]) / 2,
        "value": found.get("value"),
        "low": found.get("low"),
        "high": found.get("high"),
        "expected": expected.get("value"),
        "report": report,
    }


def _point_title(point: Mapping[str, Any]) -> str:
    report = point["report"]
    return t(
        "quality.point",
        at=f"{report['window_start']:%Y-%m-%d %H:%M}",
        value=figure(point["value"]),
        low=figure(point["low"]),
        high=figure(point["high"]),
        n=whole(report["n_labelled"]),
    )


def _coverage(report: Mapping[str, Any]) -> dict[str, Any]:
    middle = report["window_start"] + (report["window_end"] - report["window_start"]) / 2
    return {"at": middle, "value": report["coverage"], "low": None, "high": None, "expected": None}


def _coverage_title(point: Mapping[str, Any]) -> str:
    return f"{point['at']:%Y-%m-%d}: {percent(point['value'])}"


def _training(model: str, report: Mapping[str, Any], metric: str | None) -> float | None:
    """Return what the version had at training, as far as this process knows the version."""
    served = services().serving.live().get(model)
    if served is None or metric is None or served.loaded.version != report["version"]:
        return None
    return served.loaded.manifest.metrics.get(metric)


def _calibration(part: Mapping[str, Any] | None) -> charts.Chart | None:
    groups = part["calibration"] if part else None
    if not groups:
        return None
    return charts.calibration(groups, _group_title)


def _group_title(group: Mapping[str, float]) -> str:
    return t(
        "quality.group",
        said=percent(group["probability"]),
        came=percent(group["share"]),
        n=whole(group["n_rows"]),
    )


def thresholds(groups: Sequence[Mapping[str, float]]) -> list[dict[str, float | None]]:
    """Return what other thresholds would have answered: for each group's lower end precision and recall.

    >>> low, high = (0.05, 0.0, 8), (0.95, 0.5, 2)
    >>> names = ("probability", "share", "n_rows")
    >>> thresholds([dict(zip(names, one)) for one in (low, high)])[1]
    {'threshold': 0.9, 'precision': 0.5, 'recall': 1.0, 'n_positive': 2}
    """
    n_true = sum(g["share"] * g["n_rows"] for g in groups)
    found: list[dict[str, float | None]] = []
    for first in range(len(groups)):
        above = groups[first:]
        n_said, n_right = sum(g["n_rows"] for g in above), sum(g["share"] * g["n_rows"] for g in above)
        found.append(
            {
                "threshold": int(groups[first]["probability"] * 10) / 10,
                "precision": n_right / n_said if n_said else None,
                "recall": n_right / n_true if n_true else None,
                "n_positive": n_said,
            }
        )
    return found
