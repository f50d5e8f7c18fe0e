"""Whether this process lives (touches nothing) and whether it can answer (models loaded, not draining)."""

from flask import Blueprint, Response, jsonify

from app.context import services

blueprint = Blueprint("health", __name__)

LIVE_PATHS = ("/healthz", "/livez", "/health", "/v2/health/live")
READY_PATHS = ("/readyz", "/ready", "/v2/health/ready")
RETRY_AFTER_S = "1"
# What the server answers even while all threads for other requests are busy.
PATHS = frozenset(path.encode() for path in (*LIVE_PATHS, *READY_PATHS, "/ping"))
LIVE = frozenset(path.encode() for path in LIVE_PATHS)


def alive() -> Response:
    """Say that this process answers; looks at nothing else."""
    return jsonify(status="alive", live=True)


def ready() -> tuple[Response, int]:
    """Say whether predictions can be answered, and why not; MongoDB being away only degrades."""
    readiness = services().readiness()
    body = jsonify(
        status=readiness.status, ready=readiness.is_ready, reasons=readiness.reasons, log=_log_counts()
    )
    if readiness.is_ready:
        return body, 200
    body.headers["Retry-After"] = RETRY_AFTER_S
    return body, 503


def _log_counts() -> dict[str, int]:
    counts = services().log_counts()
    return counts._asdict() | {"difference": counts.difference}


for path in LIVE_PATHS:
    blueprint.add_url_rule(path, view_func=alive)
for path in READY_PATHS:
    blueprint.add_url_rule(path, view_func=ready)
