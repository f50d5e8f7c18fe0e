"""``POST /predict`` and its kin: rows in, one answer a row out, in the same order."""

from collections.abc import Callable, Iterable

import msgspec
from flask import Blueprint, Flask, Response, request

from app.auth import needs
from app.context import services, services_of
from app.lean import JsonAnswer
from mlops.serving import Answered
from model.schema import Batch, Schema
from model.spec import Spec
from utils import logs
from utils.errors import InvalidRowsError, UnsupportedTypeError

blueprint = Blueprint("predict", __name__)

JSON_TYPE = "application/json"
JSON_TYPES = ("", JSON_TYPE, "text/json")
_encode = msgspec.json.Encoder().encode


def init_app(app: Flask) -> None:
    """Add the routes, with the aliases that the specs name."""
    for model, spec in services_of(app).specs.items():
        for alias in spec.aliases:
            endpoint = "predict." + alias.replace(".", " ")
            app.add_url_rule(alias, endpoint, needs("predict")(_alias(model)), methods=["POST"])
    app.register_blueprint(blueprint)


def path_ends(specs: Iterable[Spec]) -> tuple[bytes, ...]:
    """Return how the paths of predictions end, and no others."""
    aliases = [alias.encode() for spec in specs for alias in spec.aliases]
    return (b"/predict", b"/infer", b"/invocations", *aliases)


def _alias(model: str) -> Callable[[], Response]:
    def view() -> Response:
        return answer(model)

    view.__doc__ = f"Predict with the champion of {model}."
    return view


@blueprint.post("/predict")
@blueprint.post("/v1/predict")
@needs("predict")
def predict_default() -> Response:
    """Predict with the default model."""
    return answer(services().settings.default_model)


@blueprint.post("/models/<model>/predict")
@needs("predict")
def predict_named(model: str) -> Response:
    """Predict with the champion of a named model."""
    return answer(model)


@blueprint.post("/models/<model>/versions/<version>/predict")
@needs("predict")
def predict_version(model: str, version: str) -> Response:
    """Predict with one version of a named model."""
    return answer(model, version)


def answer(model: str, version: str | None = None) -> Response:
    """Read the body, predict, keep the answer in the log, and return it."""
    return _response(answered(model, version, read, is_explained=wants_explanation()))


def wants_explanation() -> bool:
    """Tell whether the query asks for explanations."""
    if "explain" not in request.environ.get("QUERY_STRING", ""):
        return False
    return request.args.get("explain", "false").lower() in ("true", "1", "")


def answered(
    model: str, version: str | None, read_rows: Callable[[Schema], Batch], *, is_explained: bool = False
) -> Answered:
    """Check the rows that ``read_rows`` finds in the body, predict, and keep the answer in the log.

    Every route that predicts comes through here, whatever its protocol.
    """
    serving, request_id = services().serving, logs.request_id.get() or ""
    served = serving.chosen(model, request_id) if version is None else serving.version(model, version)
    try:
        batch = read_rows(served.schema)
    except InvalidRowsError as error:
        services().rejections.note(served.loaded.model, error.faults)
        raise
    return serving.predict(served, batch, request_id, is_explained=is_explained)


def read(schema: Schema) -> Batch:
    """Read and check the rows in this request's body."""
    kind = media_type()
    if is_json(kind):
        return schema.from_json(content())
    if kind == "text/csv":
        return schema.from_csv(content())
    raise UnsupportedTypeError(f"{kind} cannot be read. Send application/json or text/csv.")


def content() -> bytes:
    """Return this request's body, read once; a body that is too large is not read."""
    environ = request.environ
    size = environ.get("CONTENT_LENGTH", "")
    if not size.isdecimal() or int(size) > services().settings.max_body_bytes:
        return request.get_data(cache=False)
    found: bytes = environ["wsgi.input"].read(int(size))
    return found


def media_type() -> str:
    """Return the media type of this request's body. Raises UnsupportedTypeError unless its text is UTF-8."""
    if request.environ.get("CONTENT_TYPE") == JSON_TYPE:
        return JSON_TYPE
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedTypeError("Text must be UTF-8.")
    return request.mimetype


def is_json(kind: str) -> bool:
    """Tell whether a media type is one of JSON; none at all is taken for it."""
    return kind in JSON_TYPES or kind.endswith("+json")


def _response(found: Answered) -> Response:
    body = {
        "model": found.model,
        "version": found.version,
        "request_id": found.request_id,
        "predictions": found.answers,
    }
    return JsonAnswer(_encode(body), ("X-Model-Version", found.version))
