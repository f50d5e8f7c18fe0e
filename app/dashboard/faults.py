"""What a page says where there is nothing to show: people get a page, programs the usual problem."""

from flask import Response, make_response, render_template, request

from app.dashboard import blueprint
from app.problems import from_vigia
from mlops.sealing import SealedError
from utils.errors import IntegrityError, NotFoundError, UnavailableError, VigiaError


@blueprint.errorhandler(NotFoundError)
@blueprint.errorhandler(UnavailableError)
@blueprint.errorhandler(IntegrityError)
@blueprint.errorhandler(SealedError)
def fault(error: VigiaError) -> Response:
    """Say it as a page to a browser."""
    problem = from_vigia(error)
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        return problem
    page = make_response(render_template("error.html", detail=error.detail), error.status)
    if "Retry-After" in problem.headers:
        page.headers["Retry-After"] = problem.headers["Retry-After"]
    return page
