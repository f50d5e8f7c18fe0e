"""HTTP in and out, nothing else."""

import re
import uuid

from flask import Flask, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from app import dashboard, health, labels, lifecycle, openapi, predict, problems, reports, retraining
from app.context import KEY
from mlops.services import Services
from utils import logs

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def create_app(services: Services) -> Flask:
    """Return the app on top of ``services``, which are started by whoever runs it, after fork."""
    app = Flask(__name__)
    app.extensions[KEY] = services
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.before_request(_take_request_id)
    app.before_request(services.ensure_started)
    app.after_request(_add_headers)
    problems.init_app(app)
    predict.init_app(app)
    retraining.init_app(app)
    for module in (health, labels, lifecycle, reports, openapi, dashboard):
        app.register_blueprint(module.blueprint)
    app.add_url_rule("/", "home", lambda: redirect("/dashboard"))
    return app


def _take_request_id() -> None:
    given = request.headers.get("X-Request-ID", "")
    logs.request_id.set(given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex)


def _add_headers(response: BaseResponse) -> BaseResponse:
    response.headers["X-Request-ID"] = logs.request_id.get() or ""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
