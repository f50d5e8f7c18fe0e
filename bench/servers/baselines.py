"""What the service is measured against, two Flask apps for gunicorn: the ceiling and the usual way.

Neither validates, and the ceiling neither predicts nor logs.
"""

import os
from typing import Any

from flask import Flask, Response, jsonify, request


def ceiling() -> Flask:
    """Return an app that parses the JSON and answers a constant: the most that the web stack allows."""
    app = Flask("ceiling")

    @app.post("/predict")
    def predict() -> Response:
        request.get_json()
        return jsonify(prediction=1, probability=0.5)

    return app


def usual() -> Flask:
    """Return the usual way: a data frame, ``predict_proba``, and one document a request into MongoDB."""
    import joblib  # type: ignore[import-untyped]
    import pandas as pd
    from pymongo import MongoClient

    app = Flask("usual")
    pipeline: Any = joblib.load(os.environ["PIPELINE"])
    client: list[Any] = []

    @app.post("/predict")
    def predict() -> Response:
        if not client:
            client.append(MongoClient(os.environ["MONGO_URI"]))
        body = request.get_json()
        rows = body if isinstance(body, list) else [body]
        scores = pipeline.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
        client[0].bench_usual.predictions.insert_one({"rows": rows, "probabilities": scores})
        return jsonify(predictions=[int(score >= 0.5) for score in scores], probabilities=scores)

    return app
