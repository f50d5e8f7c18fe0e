"""``POST /labels``: the truth about predictions, at any later time."""

from flask import Blueprint, Response, request

from app.auth import needs
from app.context import services
from app.lifecycle import as_json
from app.predict import is_json, media_type
from mlops import labelling
from mlops.labelling import Given
from utils.errors import UnsupportedTypeError
from utils.mongo.connection import within

blueprint = Blueprint("labels", __name__)

# Seconds for MongoDB, which has each label stored before the answer.
PATIENCE_S = 5.0


@blueprint.post("/labels")
@blueprint.post("/feedback")
@needs("label")
def labels() -> Response:
    """Take in labels by prediction id; sent twice they count once, and the last one wins."""
    given = _given()
    with within(PATIENCE_S):
        accepted = services().labelling.put(given)
    return as_json({"labels": accepted.n_labels, "waiting": accepted.n_waiting})


def _given() -> list[Given]:
    kind, max_labels = media_type(), services().settings.max_rows
    if is_json(kind):
        return labelling.from_json(request.get_data(cache=False), max_labels)
    if kind == "text/csv":
        return labelling.from_csv(request.get_data(cache=False), max_labels)
    raise UnsupportedTypeError(f"{kind} cannot be read. Send application/json or text/csv.")
