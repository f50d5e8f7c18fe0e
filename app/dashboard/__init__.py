"""Pages for people: what is live, what drifts, whether it is still good, what changed, and what to do.

Each module has the views of one page. They read counts and reports through the services; what changes
something is in ``actions``. Text is in ``texts``, one catalogue a language.
"""

from flask import Blueprint, Response

from app.dashboard import figures, language, sentences

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")


@blueprint.app_context_processor
def _words() -> dict[str, object]:
    return {
        "t": language.t,
        "language": language.chosen(),
        "languages": language.LANGUAGES,
        "said": sentences.said,
        "address": language.address,
        "other_language": language.other_language,
        **figures.FORMATS,
    }


@blueprint.after_app_request
def _remember_language(answer: Response) -> Response:
    return language.remember(answer)


# The views add themselves to the blueprint.
from app.dashboard import (  # noqa: E402
    actions,
    alerts,
    drift,
    faults,
    overview,
    predictions,
    quality,
    tryout,
    versions,
)

VIEWS = (actions, alerts, drift, faults, overview, predictions, quality, tryout, versions)
