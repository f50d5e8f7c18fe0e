"""Drift: any window beside training or another window, features by effect, over time, and one in detail."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from flask import render_template, request

from app import charts
from app.auth import needs
from app.context import services
from app.dashboard import blueprint, periods
from app.dashboard.figures import figure, percent
from app.dashboard.language import t
from app.dashboard.overview import known_events
from mlops.windows import HeatMap, SideBySide, Window, ranked
from model.monitoring.results import FeatureDrift
from utils.errors import UnavailableError, VigiaError
from utils.time import now

N_SHOWN = 25
MANY = 60


@blueprint.get("/<model>/drift")
@needs("admin")
def drift(model: str) -> str:
    """Show how a window differs from training or from another window."""
    services().require(model)
    at = now()
    period = periods.period(request.args, at, _usual(model))
    against = periods.against(request.args, period.window)
    found: dict[str, Any] = {"versions": {}, "sides": None, "heat": None, "report": None, "problem": None}
    try:
        found |= _found(model, period.window, against)
    except UnavailableError:
        found["problem"] = t("away")
    except VigiaError as error:
        found["problem"] = error.detail
    return render_template(
        "drift.html", model=model, period=period, against=against, at=at, lengths=periods.LENGTHS, **found
    )


def _usual(model: str) -> str:
    """Return the window where none is chosen: a day of many features takes as long as a week of few."""
    spec = services().spec_of(model)
    return "7d" if spec is None or len(spec.features) <= MANY else "24h"


def _found(model: str, window: Window, against: Window | None) -> dict[str, Any]:
    versions = services().windows.versions(model, window)
    found: dict[str, Any] = {"versions": versions, "report": services().drift_reports.newest(model)}
    spec = services().spec_of(model)
    if not versions or spec is None:
        return found
    asked = request.args.get("version")
    current = services().history.current(model)
    live = current["version"] if current else None
    version = next(one for one in (asked, live, *versions) if one in versions)
    n_shown = None if request.args.get("all") else N_SHOWN
    look = services().windows.look(spec, version, window, against, n_shown)
    sides, heat = look.sides, look.heat
    features = ranked(sides.comparison)
    chosen = _chosen(features)
    return found | {
        "sides": sides,
        "version": version,
        "features": features[:n_shown],
        "n_hidden": 0 if n_shown is None else max(0, len(features) - n_shown),
        "quality": [one for one in sides.comparison.quality if one.n],
        "chosen": chosen,
        "detail": _detail(sides, chosen) if chosen else None,
        "heat": heat,
        "heat_rows": _heat_rows(heat, [one.feature for one in features[:n_shown]]),
        "heat_marks": _heat_marks(heat, known_events(model)),
    }


def _chosen(features: Sequence[FeatureDrift]) -> FeatureDrift | None:
    asked = request.args.get("feature")
    return next((one for one in features if one.feature == asked), next(iter(features), None))


def _detail(sides: SideBySide, chosen: FeatureDrift) -> dict[str, Any]:
    shape, points = sides.shape(chosen.feature), sides.curve(chosen.feature)
    names = _names(shape)
    rows = []
    if shape["reference"] is not None:
        after = shape["current"] or [None] * len(names)
        rows = list(zip(names, shape["reference"], after, strict=True))
    return {
        "shape": shape,
        "bins": charts.bins(shape, names, lambda name, share: f"{name}: {percent(share)}"),
        "curve": charts.curves(points),
        "points": points,
        "rows": rows,
        "quality": [one for one in sides.comparison.quality if one.feature == chosen.feature],
    }


def _names(shape: Mapping[str, Any]) -> list[str]:
    if "categories" in shape:
        return list(shape["categories"])
    return [t("chart.between", low=figure(low), high=figure(high)) for low, high in pairwise(shape["edges"])]


def _heat_rows(heat: HeatMap, names: Sequence[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return for each feature its cells: the shade, and the effect in words."""
    return [
        (
            name,
            [
                (charts.heat(effect), figure(None if effect is None else round(effect, 3)))
                for effect in heat.effects[name]
            ],
        )
        for name in names
        if name in heat.effects
    ]


def _heat_marks(heat: HeatMap, events: Sequence[tuple[Any, str, str]]) -> list[list[tuple[str, str]]]:
    """Return what happened in each bucket: how it looks, and what it was."""
    return [
        [(look, title) for at, look, title in events if start <= at < start + heat.bucket]
        for start in heat.starts
    ]
