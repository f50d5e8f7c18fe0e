"""The scoring protocols of other servers: Open Inference Protocol V2, and that of MLflow and SageMaker.

Each turns its bodies into rows and its answers into its own shape. Checking, scoring, logging and limits are
those of ``/predict``; nothing of them is repeated here.
"""

from flask import Flask

from app.protocols import invocations, open_inference


def init_app(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(invocations.blueprint)
    app.register_blueprint(open_inference.blueprint)
