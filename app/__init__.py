"""HTTP in and out, nothing else."""

from flask import Flask, redirect

from app import (
    browsers,
    dashboard,
    health,
    labels,
    lifecycle,
    openapi,
    peers,
    predict,
    problems,
    protocols,
    reports,
    retraining,
    rollouts,
    sessions,
)
from app.context import KEY
from app.lean import LeanFlask
from mlops.services import Services


def create_app(services: Services) -> Flask:
    """Return the app on top of ``services``, which are started by whoever runs it, after fork."""
    app = LeanFlask(__name__)
    app.extensions[KEY] = services
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.before_request(services.ensure_started)
    # What is wrong with these stops the start, not the first request.
    _ = services.keys, services.limits
    peers.check_trusted(services.settings.trusted_proxies)
    problems.init_app(app)
    browsers.init_app(app)
    sessions.init_app(app)
    predict.init_app(app)
    protocols.init_app(app)
    retraining.init_app(app)
    for module in (health, labels, lifecycle, reports, rollouts, openapi, dashboard):
        app.register_blueprint(module.blueprint)
    app.add_url_rule("/", "home", lambda: redirect("/dashboard"))
    return app
