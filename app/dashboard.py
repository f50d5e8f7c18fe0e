"""Pages for people: what is live, how much is asked, what drifts, which alerts are open."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template

from app import charts
from app.auth import needs
from app.context import services
from utils.errors import UnavailableError
from utils.time import now

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")

DAY_H = 24
TRAFFIC_H = 48


@blueprint.get("")
@needs("admin")
def overview() -> str:
    """Show one card a model."""
    readiness = services().readiness()
    cards = [_card(model) for model in services().names()]
    return render_template("overview.html", cards=cards, readiness=readiness, at=now())


@blueprint.get("/<model>")
@needs("admin")
def model_page(model: str) -> str:
    """Show one model: its version, traffic, drift by feature, and alerts."""
    card = _card(model)
    report = card["report"]
    features = _features(report) if report else []
    return render_template(
        "model.html", card=card, report=report, features=features, history=_history(model), at=now()
    )


def _card(model: str) -> dict[str, Any]:
    """Return what one model's card shows; without MongoDB, what this process knows by itself."""
    card: dict[str, Any] = {"model": services().describe(model), "is_away": False}
    card |= {"champion": None, "report": None, "alerts": [], "traffic": [], "n_day": 0}
    try:
        return card | _stored(model)
    except UnavailableError:
        return card | {"is_away": True}


def _stored(model: str) -> dict[str, Any]:
    end = now().replace(minute=0, second=0, microsecond=0) + charts.HOUR
    hours = services().predictions.traffic(model, end - TRAFFIC_H * charts.HOUR)
    recent = [hour["n_rows"] for hour in hours if hour["hour"] >= end - DAY_H * charts.HOUR]
    return {
        "champion": services().history.current(model),
        "report": services().drift_reports.latest(model),
        "alerts": services().alerts.list(model, limit=20),
        "traffic": charts.traffic(hours, end, TRAFFIC_H),
        "n_day": sum(recent),
    }


def _history(model: str) -> list[dict[str, Any]]:
    try:
        return services().history.all(model)[::-1][:10]
    except UnavailableError:
        return []


def _features(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the report's features in its order, the most drifted first, each with its chart."""
    shapes = {shape["feature"]: shape for shape in report["shapes"]}
    return [
        {**check, "chart": charts.distribution(shapes[check["feature"]]), "shape": shapes[check["feature"]]}
        for check in report["features"]
        if check["feature"] in shapes
    ]
