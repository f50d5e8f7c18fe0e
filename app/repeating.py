"""``Idempotency-Key``: a request that comes again under its key gets its first answer, and is logged once.

For predictions and labels. Requests without the header pay nothing. Only answers that went well are kept;
after an error the same key may come again, with another body as well.
"""

import hashlib
import io
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Response, current_app, request

from app.context import CALLER, services
from mlops.once import Turn
from utils.errors import BadRequestError
from utils.time import id_origin

HEADER = "HTTP_IDEMPOTENCY_KEY"
SCOPES = ("predict", "label")
MAX_KEY = 255
REPLAYED = "Idempotency-Replayed"


class Kept(msgspec.Struct, array_like=True):
    """An answer as it is kept."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def once(view: Callable[..., Any], *arguments: Any, **named: Any) -> Response:
    """Answer by ``view``, or as it did when this key came for the first time.

    Raises ConflictError if it came with another body, InProgressError if it is being answered just now.
    """
    turn = services().once.begin(_name(), _fingerprint())
    if turn.outcome is not None:
        return _again(turn.outcome)
    token = id_origin.set(turn.origin)
    try:
        answer = current_app.make_response(view(*arguments, **named))
    except Exception:
        services().once.give_up(turn)
        raise
    finally:
        id_origin.reset(token)
    _keep(turn, answer)
    return answer


def _keep(turn: Turn, answer: Response) -> None:
    if not 200 <= answer.status_code < 300:
        services().once.give_up(turn)
        return
    kept = Kept(answer.status_code, list(answer.headers.items()), answer.get_data())
    services().once.finish(turn, msgspec.msgpack.encode(kept))


def _again(outcome: bytes) -> Response:
    kept = msgspec.msgpack.decode(outcome, type=Kept)
    answer = Response(kept.body, kept.status, kept.headers)
    answer.headers[REPLAYED] = "true"
    return answer


def _name() -> str:
    """Return what stands for this key of this caller at this path."""
    environ = request.environ
    key = environ[HEADER].strip()
    if not 0 < len(key) <= MAX_KEY:
        raise BadRequestError(f"An Idempotency-Key has 1 to {MAX_KEY} characters; this one has {len(key)}.")
    parts = (environ.get(CALLER, ""), request.method, request.full_path, key)
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def _fingerprint() -> bytes:
    """Return a digest of the body, which stays there to be read."""
    body = request.get_data(cache=True)
    request.environ["wsgi.input"] = io.BytesIO(body)
    request.environ["CONTENT_LENGTH"] = str(len(body))
    return hashlib.sha256(f"{request.content_type}\0".encode() + body).digest()
