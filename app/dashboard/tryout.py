"""A form made of the schema, to ask a model by hand."""

import json

from flask import Response, render_template, request

from app.auth import needs
from app.bodies import example_row
from app.context import services
from app.dashboard import blueprint
from app.dashboard.sentences import said
from app.lifecycle import as_json, read
from utils.errors import UnavailableError
from utils.time import now

MAX_SAID = 1_000


@blueprint.post("/said")
@needs("predict")
def say() -> Response:
    """Say sentences of answers, which the API has in English, in the language of the page."""
    return as_json([said(one) for one in read(list[str])[:MAX_SAID]])


@blueprint.get("/<model>/try")
@needs("admin")
def try_it(model: str) -> str:
    """Show the form."""
    services().require(model)
    try:
        spec = services().serving.champion(model).loaded.spec
    except UnavailableError:
        return render_template("try.html", model=model, spec=None, at=now())
    example = example_row(spec)
    return render_template(
        "try.html",
        model=model,
        spec=spec,
        example=example,
        row=json.dumps(example, ensure_ascii=False, indent=1),
        root=request.host_url.rstrip("/"),
        has_keys=services().keys.is_used,
        at=now(),
    )
