"""Whether this process lives (touches nothing) and whether it can answer (models loaded, not draining)."""

from flask import Blueprint, Response, jsonify

from app.context import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@blueprint.get("/livez")
@blueprint.get("/health")
@blueprint.get("/v2/health/live")
def alive() -> Response:
    """Say that this process answers; looks at nothing else."""
    return jsonify(status="alive", live=True)


@blueprint.get("/readyz")
@blueprint.get("/ready")
@blueprint.get("/v2/health/ready")
def ready() -> tuple[Response, int]:
    """Say whether predictions can be answered, and why not; MongoDB being away only degrades."""
    readiness = services().readiness()
    body = jsonify(status=readiness.status, ready=readiness.is_ready, reasons=readiness.reasons)
    return body, 200 if readiness.is_ready else 503
