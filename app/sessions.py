"""Browsers: a key is shown once on the page of the login and becomes a session in a signed cookie.

The cookie names the key by its digest, so a session ends with its key. Forms carry a token that only pages of
this service can hold, so pages of other sites cannot send them.
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, make_response, redirect, render_template, request
from itsdangerous import BadData, URLSafeTimedSerializer

from app import browsers, limiting, peers, problems
from app.context import services
from mlops.keys import Key
from mlops.services import Services
from utils.errors import ForbiddenError, UnauthorizedError

blueprint = Blueprint("sessions", __name__)

COOKIE = "vigia_session"
SESSION_S = 12 * 3_600
ANONYMOUS = "anonymous"
PAGES = ("/dashboard", "/docs")
HOME = "/dashboard"


def init_app(app: Flask) -> None:
    """Add login and logout, and the token to all templates."""
    app.register_blueprint(blueprint)
    app.register_error_handler(UnauthorizedError, _asked_to_log_in)
    app.jinja_env.globals["csrf_token"] = csrf_token
    app.jinja_env.globals["is_logged_in"] = lambda: COOKIE in request.cookies and services().keys.is_used


def key(services: Services) -> Key | None:
    """Return the key that this browser has logged in with, None where it has not.

    Raises ForbiddenError if another site's page made the browser ask, or a form has no token.
    """
    kept = _session(services)
    if kept is None:
        return None
    if request.method not in browsers.SAFE:
        browsers.check_origin(())
        check_token(kept, services)
    return services.keys.of_digest(kept)


def csrf_token() -> str:
    """Return the token for the forms of this page."""
    return _serializer(services(), "form").dumps(_mark(_session(services()) or ANONYMOUS))


def check_token(session: str, services: Services) -> None:
    """Raise ForbiddenError unless this request carries the token of ``session``."""
    token = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token", "")
    try:
        found = _serializer(services, "form").loads(token, max_age=SESSION_S)
    except BadData:
        found = ""
    if not hmac.compare_digest(str(found), _mark(session)):
        raise ForbiddenError("This form is too old or not from here. Load its page again.")


@blueprint.get("/login")
def login_page() -> Response:
    """Show the form for a key."""
    return make_response(render_template("login.html", next=_next(), wrong=None))


@blueprint.post("/login")
def login() -> Response:
    """Turn a key into a session."""
    own = services()
    browsers.check_origin(())
    limiting.spend(own, peers.address(own.settings.trusted_proxies))
    check_token(_session(own) or ANONYMOUS, own)
    found = own.keys.find(request.form.get("key", "").strip().encode())
    if found is None or found.is_expired or not {"read", "admin"} & found.scopes:
        return make_response(render_template("login.html", next=_next(), wrong=_wrong(found)), 401)
    answer = make_response(redirect(_next(), 303))
    _set_cookie(answer, _serializer(own, "session").dumps(found.digest), SESSION_S)
    return answer


@blueprint.post("/logout")
def logout() -> Response:
    """End the session in this browser."""
    own = services()
    check_token(_session(own) or ANONYMOUS, own)
    answer = make_response(redirect("/login", 303))
    _set_cookie(answer, "", 0)
    return answer


def _wrong(found: Key | None) -> str:
    if found is None:
        return "This key is not known here."
    return "This key has expired." if found.is_expired else "This key is not for pages; read or admin is."


def _set_cookie(answer: Response, value: str, max_age_s: int) -> None:
    answer.set_cookie(
        COOKIE, value, max_age=max_age_s, httponly=True, samesite="Lax", secure=request.is_secure
    )


def _session(services: Services) -> str | None:
    """Return the digest of the key in this browser's cookie."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    try:
        return str(_serializer(services, "session").loads(cookie, max_age=SESSION_S))
    except BadData:
        return None


def _mark(session: str) -> str:
    """Return what a token says of a session; pages show it, so not the digest of the key itself."""
    return hashlib.sha256(f"form of {session}".encode()).hexdigest()


def _serializer(services: Services, use: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(services.secret_for(use), salt=f"vigia {use}")


def _next() -> str:
    """Return where to go after the login: a path of this service, whatever was asked."""
    path = request.values.get("next", HOME)
    try:
        parts = urlsplit(path)
    except ValueError:
        return HOME
    is_own = path.startswith(PAGES) and not parts.scheme and not parts.netloc and "\\" not in path
    return path if is_own else HOME


def _asked_to_log_in(error: UnauthorizedError) -> Response:
    """Send a person to the login; answer programs with the problem."""
    wants_page = "text/html" in request.headers.get("Accept", "")
    if request.method == "GET" and wants_page and request.path.startswith(PAGES):
        answer: Response = make_response(redirect(f"/login?next={request.path}", 303))
        return answer
    return problems.from_vigia(error)
