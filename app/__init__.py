"""HTTP in and out, nothing else."""

from flask import Flask, redirect

from app import (
    browsers,
    dashboard,
    health,
    labels,
    lifecycle,
    metrics,
    openapi,
    predict,
    problems,
    protocols,
    reports,
    retraining,
    rollouts,
    sessions,
    subjects,
    tracing,
)
from app.context import KEY, METER
from app.lean import LeanFlask
from app.meter import Meter
from mlops.services import Services


def create_app(services: Services) -> Flask:
    """Return the app on top of ``services``, which are started by whoever runs it, after fork."""
    app = LeanFlask(__name__)
    app.extensions[KEY] = services
    app.meter = app.extensions[METER] = Meter()
    app.prediction_ends = tuple(end.decode() for end in predict.path_ends(services.specs.values()))
    app.uncounted = frozenset(path.decode() for path in health.PATHS)
    app.has_hooks_for_json = bool(services.settings.cors_origins)
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.before_request(services.ensure_started)
    # What is wrong with these stops the start, not the first request.
    _ = services.keys, services.limits, services.sealing
    problems.init_app(app)
    browsers.init_app(app)
    sessions.init_app(app)
    predict.init_app(app)
    protocols.init_app(app)
    retraining.init_app(app)
    for module in (health, labels, lifecycle, reports, rollouts, metrics, subjects, openapi, dashboard):
        app.register_blueprint(module.blueprint)
    tracing.init_app(app, services.settings)
    app.add_url_rule("/", "home", lambda: redirect("/dashboard"))
    return app
