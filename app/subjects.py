"""``/subjects/{id}``: all that is logged of one person, shown, held or erased."""

import msgspec
from flask import Blueprint, Response

from app.auth import needs
from app.context import requester, services
from app.lifecycle import as_json, read

blueprint = Blueprint("subjects", __name__, url_prefix="/subjects")


class Hold(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a hold."""

    reason: str


@blueprint.get("/<path:subject>")
@needs("admin")
def export(subject: str) -> Response:
    """Return all that is logged of one person, with labels and the versions that learnt from it."""
    return as_json(services().subjects.export(subject))


@blueprint.delete("/<path:subject>")
@needs("admin")
def erase(subject: str) -> Response:
    """Erase one person from the log; answers counts and the versions that learnt from the rows."""
    return as_json(services().subjects.erase(subject, requester()))


@blueprint.get("/<path:subject>/hold")
@needs("admin")
def held(subject: str) -> Response:
    """Tell whether one person's rows are held, why, since when and by whom."""
    return as_json({"subject": subject, "hold": services().subjects.held(subject)})


@blueprint.put("/<path:subject>/hold")
@needs("admin")
def hold(subject: str) -> Response:
    """Keep one person's rows, whatever is asked and however old they get."""
    return as_json(services().subjects.hold(subject, read(Hold).reason, requester()))


@blueprint.delete("/<path:subject>/hold")
@needs("admin")
def release(subject: str) -> Response:
    """End a hold."""
    services().subjects.release(subject)
    return as_json({"hold": None})
