"""Versions side by side, where they come from, and who was live when."""

from collections.abc import Sequence
from typing import Any

from flask import render_template, request

from app.auth import needs
from app.context import services
from app.dashboard import blueprint
from app.dashboard.language import t
from utils.errors import UnavailableError
from utils.time import now

N_COLUMNS = 4


@blueprint.get("/<model>/versions")
@needs("admin")
def versions(model: str) -> str:
    """Show the versions of a model."""
    services().require(model)
    found: dict[str, Any] = {"versions": [], "history": [], "problem": None, "columns": []}
    try:
        known = services().registry.versions(model)
        found |= {
            "versions": known,
            "columns": _columns(known),
            "history": services().history.all(model)[::-1],
        }
    except UnavailableError:
        found["problem"] = t("away")
    has_spec = model in services().specs
    return render_template("versions.html", model=model, has_spec=has_spec, at=now(), **found)


def _columns(known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the versions to show side by side: those asked for, else the champion and the newest."""
    asked = request.args.getlist("v")
    chosen = [one for one in known if one["version"] in asked]
    if not chosen:
        champion = [one for one in known if one["is_champion"]]
        chosen = [*champion, *[one for one in known if not one["is_champion"]]]
    return [one for one in chosen if "problem" not in one][:N_COLUMNS]
