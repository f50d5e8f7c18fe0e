"""``POST /labels``: the truth about predictions, at any later time."""

from flask import Blueprint, Response, request

from app.auth import needs
from app.context import services
from app.lifecycle import as_json
from app.predict import is_json, media_type
from mlops import labelling
from mlops.labelling import Given
from utils.errors import UnsupportedTypeError

blueprint = Blueprint("labels", __name__)


@blueprint.post("/labels")
@blueprint.post("/feedback")
@needs("label")
def labels() -> Response:
    """Take in labels by prediction id; sent twice they count once, and the last one wins."""
    accepted = services().labelling.put(_given())
    return as_json({"labels": accepted.n_labels, "waiting": accepted.n_waiting})


def _given() -> list[Given]:
    kind, max_labels = media_type(), services().settings.max_rows
    if is_json(kind):
        return labelling.from_json(request.get_data(cache=False), max_labels)
    if kind == "text/csv":
        return labelling.from_csv(request.get_data(cache=False), max_labels)
    raise UnsupportedTypeError(f"{kind} cannot be read. Send application/json or text/csv.")
