"""The one place where views reach the services of their app."""

from typing import cast

from flask import Flask, current_app, request

from app.meter import Meter
from mlops.services import Services

KEY = "vigia"
METER = "vigia.meter"
# Where in a request's environ its caller is named, once it is known.
CALLER = "vigia.caller"


def services() -> Services:
    """Return the services of the app that handles this request."""
    return cast(Services, current_app.extensions[KEY])


def services_of(app: Flask) -> Services:
    """Return the services of one app."""
    return cast(Services, app.extensions[KEY])


def meter() -> Meter:
    """Return what counts the requests of this process."""
    return cast(Meter, current_app.extensions[METER])


def requester() -> str:
    """Return who asks, for the history: the name of the key, else the address."""
    return str(request.environ.get(CALLER) or request.remote_addr or "unknown")
