"""The overview, with one card a model, and the page of one model: how it stands, what changed, what to do."""

from datetime import datetime, timedelta
from typing import Any

from flask import render_template

from app import charts
from app.auth import needs
from app.context import services
from app.dashboard import blueprint
from app.dashboard.figures import whole
from app.dashboard.language import t
from app.dashboard.sentences import said
from mlops.standing import TRAFFIC_H, Standing, standing
from utils.errors import UnavailableError
from utils.time import now

HOUR = timedelta(hours=1)
N_CHANGES = 12


@blueprint.get("")
@needs("admin")
def overview() -> str:
    """Show one card a model."""
    cards = [standing(services(), model) for model in services().names()]
    # Who needs somebody comes first, then who is asked most.
    cards.sort(key=lambda card: (not card.open_alerts, card.model["version"] is None, -card.n_day, card.name))
    return render_template(
        "overview.html",
        cards=cards,
        charts={card.name: traffic_chart(card) for card in cards},
        readiness=services().readiness(),
        ledger=services().log_counts(),
        at=now(),
    )


@blueprint.get("/<model>")
@needs("admin")
def model_page(model: str) -> str:
    """Show one model."""
    card = standing(services(), model)
    return render_template(
        "model.html",
        model=model,
        card=card,
        chart=traffic_chart(card),
        changes=card.changes[:N_CHANGES],
        at=now(),
    )


def traffic_chart(card: Standing) -> charts.Chart:
    """Return the rows of the last hours as bars, with what happened meanwhile."""
    end = card.at.replace(minute=0, second=0, microsecond=0) + HOUR
    return charts.traffic(
        card.traffic, end - TRAFFIC_H * HOUR, TRAFFIC_H, _bar_title, events_of(card.history, card.alerts)
    )


def _bar_title(start: datetime, n_rows: int) -> str:
    return t("chart.bar", at=f"{start:%Y-%m-%d %H:%M}", n=whole(n_rows))


def events_of(history: Any, alerts: Any) -> list[tuple[datetime, str, str]]:
    """Return versions and alerts as moments for the axis of a chart."""
    found = [(one["at"], "version", t("mark.version", version=one["version"])) for one in history]
    for alert in alerts:
        found.append(
            (alert["opened_at"], "alert", t("mark.opened", what=said(alert.get("subject") or alert["key"])))
        )
    return found


def known_events(model: str) -> list[tuple[datetime, str, str]]:
    """Return the versions and alerts of a model; none while MongoDB is away."""
    try:
        return events_of(services().history.all(model), services().alerts.list(model))
    except UnavailableError:
        return []
