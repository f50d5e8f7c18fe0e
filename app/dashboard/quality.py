"""Quality: realised and expected over time, how many labels came and when, confusion, calibration.

What needs many rows (other thresholds, errors) is added up from the counts of windows, never from rows.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from flask import render_template, request

from app import charts
from app.auth import needs
from app.context import services
from app.dashboard import blueprint, thresholds
from app.dashboard.figures import figure, percent, whole
from app.dashboard.language import t
from app.dashboard.overview import known_events
from mlops.standing import DECIDED, part_of
from utils.errors import UnavailableError
from utils.time import now

N_WINDOWS = 90
# Windows whose counts are added, the chosen one included: one alone may have few positives.
OVERS = (1, 7, 30)
TABLE_STEP = 10


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
    over = request.args.get("over", type=int)
    over = over if over in OVERS else OVERS[1]
    parts = _added(reports, chosen, over)
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
        "overs": OVERS,
        "over": over,
        "thresholds": _thresholds(parts),
        "residuals": _residuals(parts, part),
        "unit": _unit(model),
        "positive_last": _positive_last(model, part),
    }


def _positive_last(model: str, part: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the two classes, that of the positive one last."""
    names = list((part or {}).get("classes") or ())
    spec = services().spec_of(model)
    return names[::-1] if spec is not None and spec.positive_index == 0 else names


def _unit(model: str) -> str:
    spec = services().spec_of(model)
    return (spec.target.unit or "") if spec else ""


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


def _added(
    reports: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], n_windows: int
) -> list[dict[str, Any]]:
    """Return what the chosen window and those before it say of its version."""
    before = [one for one in reports if one["window_start"] <= chosen["window_start"]][-n_windows:]
    parts = (part for one in before for part in one["versions"])
    return [part for part in parts if part["version"] == chosen["version"]]


def _thresholds(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what the page shows of other thresholds; None where there is nothing to count."""
    counts = thresholds.added([part["scores"] for part in parts if part.get("scores")])
    if counts is None:
        return None
    every = thresholds.every(counts)
    ours = next(part["threshold"] for part in reversed(parts) if part.get("scores"))
    place = _place(request.args.get("threshold"), ours, len(every) - 1)
    marked = {*range(0, len(every), TABLE_STEP), place}
    return {
        "counts": counts,
        "n_labelled": sum(sum(side) for side in counts.values()),
        "ours": ours,
        "chosen": every[place],
        "step": 1 / (len(every) - 1),
        "rows": [every[i] for i in sorted(marked)],
        "chart": charts.tradeoff(
            [(one.threshold, one.precision, one.recall) for one in every], every[place].threshold
        ),
    }


def _place(asked: str | None, ours: float, n_groups: int) -> int:
    """Return the number of the threshold that was asked for, else of the nearest to the version's own."""
    try:
        wanted = float(asked or ours)
    except ValueError:
        wanted = ours
    return round(min(max(wanted, 0.0), 1.0) * n_groups) if math.isfinite(wanted) else round(ours * n_groups)


def _residuals(parts: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return how far answers lay from the truth, as counts of all windows with the scale of the newest."""
    found = [part["residuals"] for part in parts if part.get("residuals")]
    if not found or chosen is None:
        return None
    edges = found[-1]["edges"]
    same = [one["counts"] for one in found if one["edges"] == edges]
    counts = [sum(column) for column in zip(*same, strict=True)]
    names = [
        t("quality.below", value=figure(edges[0])),
        *(t("chart.between", low=figure(low), high=figure(high)) for low, high in pairwise(edges)),
        t("quality.above", value=figure(edges[-1])),
    ]
    titles = [f"{name}: {whole(n)}" for name, n in zip(names, counts, strict=True)]
    groups = chosen.get("by_answer") or []
    return {
        "rows": list(zip(names, counts, strict=True)),
        "n_labelled": sum(counts),
        "ends": (edges[0], edges[-1]),
        "chart": charts.histogram(counts, titles),
        "groups": groups,
        "spread": charts.spread(groups, _spread_title),
    }


def _spread_title(group: Mapping[str, float]) -> str:
    return t(
        "quality.spread",
        answer=figure(group["answer"]),
        middle=figure(group["middle"]),
        low=figure(group["low"]),
        high=figure(group["high"]),
        n=whole(group["n_rows"]),
    )
