"""What people do from pages: check, label, retrain, promote, roll back, try challengers, acknowledge.

Forms, so they work without script; each goes back to its page and says there what came of it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.auth import needs
from app.context import requester, services
from app.dashboard import blueprint, periods
from app.dashboard.language import t
from app.rollouts import start_shadow
from mlops import canaries
from mlops.labelling import Given
from mlops.trainings import PROMOTE
from utils.errors import ForbiddenError, InvalidRowsError, NotFoundError, UnauthorizedError, VigiaError
from utils.time import now

SILENCES_H = (24, 72, 168)
CANARY_SHARES = ("0.05", "0.1", "0.25", "0.5")
MAX_TEXT = 300
MAX_REASON = 500

Action = Callable[..., tuple[str, str]]


def action(path: str, page: str) -> Callable[[Action], Action]:
    """Make ``POST path`` an action that goes back to ``page``; it returns what came of it, and of what."""

    def decorate(act: Action) -> Action:
        @wraps(act)
        @needs("admin")
        def view(model: str, **names: str) -> Response:
            services().require(model)
            try:
                key, about = act(model, **names)
                return _back(page, model, names, done=key, about=about)
            except (UnauthorizedError, ForbiddenError, NotFoundError):
                raise
            except VigiaError as error:
                faults = error.faults if isinstance(error, InvalidRowsError) else ()
                detail = "; ".join(fault.detail for fault in faults) or error.detail
                return _back(page, model, names, failed=detail[:MAX_TEXT])

        blueprint.add_url_rule(f"/<model>{path}", act.__name__, view, methods=["POST"])
        return act

    return decorate


def _back(page: str, model: str, names: dict[str, str], **told: str) -> Response:
    kept: dict[str, Any] = {name: one for name, one in names.items() if name == "prediction_id"}
    address = url_for(f"dashboard.{page}", model=model, **kept)
    return redirect(f"{address}?{urlencode(told)}#told", 303)


@action("/check", "drift")
def check(model: str) -> tuple[str, str]:
    """Check a model for drift now."""
    report = services().run_check(model)
    return "check", t("verdict." + str(report["verdict"]))


@action("/retrain", "versions")
def retrain(model: str) -> tuple[str, str]:
    """Start a training with the labels that are there."""
    if model not in services().specs:
        raise NotFoundError(t("versions.no_spec"))
    wanted = request.form.get("promote", PROMOTE[0])
    promote = wanted if wanted in PROMOTE else PROMOTE[0]
    since = _since()
    return "retrain", services().trainings.start(model, "run-pipeline", promote, requester(), since=since)


def _since() -> datetime | None:
    """Return the moment before which nothing is to be learnt. Raises InvalidRowsError for what is none."""
    text = request.form.get("since", "").strip()
    found = periods.instant(text)
    if text and found is None:
        raise InvalidRowsError(t("versions.since_wrong"), [])
    return found


@action("/promote", "versions")
def promote(model: str) -> tuple[str, str]:
    """Make a version the champion."""
    version = request.form.get("version", "")
    services().registry.promote(model, version, reason=_reason(), by=requester())
    return "promote", version


@action("/rollback", "versions")
def rollback(model: str) -> tuple[str, str]:
    """Go back to the champion before."""
    entry = services().registry.rollback(model, None, reason=_reason(), by=requester())
    return "rollback", str(entry["version"])


@action("/shadow", "versions")
def begin_shadow(model: str) -> tuple[str, str]:
    """Have a version score what comes in."""
    return "shadow", str(start_shadow(model, request.form.get("version", ""))["version"])


@action("/shadow/end", "versions")
def end_shadow(model: str) -> tuple[str, str]:
    """End the shadow."""
    services().rollouts.end("shadow", model)
    return "shadow_end", ""


@action("/canary", "versions")
def begin_canary(model: str) -> tuple[str, str]:
    """Have a version answer a share of the requests."""
    text = request.form.get("share", "")
    share = float(text) if text in CANARY_SHARES else float(CANARY_SHARES[0])
    version = request.form.get("version", "")
    canaries.begin(services(), model, version, share, by=requester())
    return "canary", version


@action("/canary/end", "versions")
def end_canary(model: str) -> tuple[str, str]:
    """Let the champion answer all requests."""
    canaries.end(services(), model)
    return "canary_end", ""


@action("/predictions/<prediction_id>/label", "prediction")
def label(model: str, prediction_id: str) -> tuple[str, str]:
    """Say what was true."""
    given = request.form.get("label", "").strip()
    if not given:
        raise InvalidRowsError(t("prediction.label_missing"), [])
    spec = services().spec_of(model)
    labels = {str(one): one for one in spec.labels} if spec else {}
    services().labelling.put([Given(prediction_id, labels.get(given, given), "#")])
    return "label", given


@action("/alerts/<alert_id>/acknowledge", "model_alerts")
def acknowledge(model: str, alert_id: str) -> tuple[str, str]:
    """Say that somebody looks after it."""
    _require(model, alert_id)
    services().alerts.acknowledge(alert_id, requester(), now())
    return "acknowledge", ""


@action("/alerts/<alert_id>/silence", "model_alerts")
def silence(model: str, alert_id: str) -> tuple[str, str]:
    """Have no reminders for a while."""
    _require(model, alert_id)
    text = request.form.get("hours", "")
    length = int(text) if text.isdecimal() and int(text) in SILENCES_H else SILENCES_H[0]
    services().alerts.silence(alert_id, now() + timedelta(hours=length), requester())
    return "silence", str(length)


def _require(model: str, alert_id: str) -> None:
    found = services().alerts.get(alert_id)
    if found is None or found["model"] != model:
        raise NotFoundError(t("alerts.unknown"))


def _reason() -> str:
    return request.form.get("reason", "").strip()[:MAX_REASON]
