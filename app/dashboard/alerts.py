"""Alerts, open and past, of one model or of all, with what to do next."""

from flask import render_template

from app.auth import needs
from app.context import services
from app.dashboard import blueprint
from app.dashboard.language import t
from mlops.standing import step_of
from utils.errors import UnavailableError
from utils.time import now

N_SHOWN = 200


@blueprint.get("/alerts")
@needs("admin")
def all_alerts() -> str:
    """Show the alerts of all models."""
    return _page(None)


@blueprint.get("/<model>/alerts")
@needs("admin")
def model_alerts(model: str) -> str:
    """Show the alerts of one model."""
    services().require(model)
    return _page(model)


def _page(model: str | None) -> str:
    try:
        alerts, problem = services().alerts.list(model, limit=N_SHOWN), None
    except UnavailableError:
        alerts, problem = [], t("away")
    alerts.sort(key=lambda one: one["state"] != "open")
    steps = {one["id"]: step_of(one) for one in alerts}
    return render_template("alerts.html", model=model, alerts=alerts, steps=steps, problem=problem, at=now())
