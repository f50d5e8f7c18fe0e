"""Looks a deployment over, and says for each thing that is wrong what to do about it.

Each check is a function that yields findings; what a check cannot find out is a finding, too.
"""

import importlib.util
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec

from mlops.services import Services
from utils.errors import UnavailableError, VigiaError
from utils.mongo import facts, migrations
from utils.settings import load
from utils.time import now

State = Literal["ok", "warning", "fault"]
OLDEST_MONGODB = 6
SOON = timedelta(days=14)
LATE = timedelta(hours=3)
SKEW_S = 5.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at; ``fix`` says what to do unless it is ``ok``."""

    check: str
    state: State
    sentence: str
    fix: str = ""


Found = Iterator[Finding]


def examine(services: Services) -> list[Finding]:
    """Return all findings, in the order of the checks."""
    found = list(_mongodb(services))
    is_away = any(one.state == "fault" for one in found)
    checks = CHECKS if is_away else (*CHECKS, *WITH_MONGODB)
    for check in checks:
        try:
            found += check(services)
        except (VigiaError, OSError) as error:
            detail = error.detail if isinstance(error, VigiaError) else str(error)
            found.append(Finding(check.__name__.strip("_"), "fault", detail, "See the message."))
    return found


def _mongodb(services: Services) -> Found:
    try:
        server = facts.server(services.db)
    except UnavailableError as error:
        fix = "Start it, or correct MONGO_URI; until then answers wait in the spool."
        yield Finding("mongodb", "fault", error.detail, fix)
        return
    yield Finding("mongodb", "ok", f"MongoDB {server.version} answers and takes writes.")
    if int(server.version.split(".")[0]) < OLDEST_MONGODB:
        yield Finding("mongodb", "fault", f"MongoDB {server.version} is too old.", "Take 6 or later.")
    if server.set_name is None:
        fix = "Make it a replica set; one member is enough: mongod --replSet rs0, rs.initiate()."
        yield Finding("mongodb", "fault", "It is no replica set, so nothing can be promoted.", fix)
    if abs((server.at - now()).total_seconds()) > SKEW_S:
        sentence = f"Its clock says {server.at:%H:%M:%S}, ours {now():%H:%M:%S}."
        yield Finding("mongodb", "warning", sentence, "Let both keep time (NTP).")


def _keys(services: Services) -> Found:
    settings, keys = services.settings, services.keys
    if not keys.is_used:
        is_open = settings.allow_anonymous and settings.host not in LOOPBACK
        fix = "Set API_KEYS and ADMIN_API_KEYS, unless a network of your own is all that reaches the port."
        sentence = (
            "Everybody who reaches the port is answered." if is_open else "Only this machine is answered."
        )
        yield Finding("keys", "warning" if is_open else "ok", sentence, fix if is_open else "")
        return
    yield Finding("keys", "ok", f"{len(keys.all())} keys are known.")
    for key in keys.all():
        if key.expires_at is not None and key.expires_at <= now() + SOON:
            sentence = f"The key {key.name!r} ends at {key.expires_at:%Y-%m-%d %H:%M} UTC."
            yield Finding("keys", "warning", sentence, "python -m mlops keys new, and hand it over in time.")
    for path in (settings.api_keys_file, settings.admin_api_keys_file):
        if path is not None and path.stat().st_mode & stat.S_IWOTH:
            yield Finding("keys", "fault", f"Everybody may write to {path}.", f"chmod o-w {path}")


def _is_passing() -> bool:
    """Tell whether this machine and its disk go with the next restart, as on Heroku and Kubernetes."""
    return bool(os.environ.get("DYNO") or os.environ.get("KUBERNETES_SERVICE_HOST"))


def _store(services: Services) -> Found:
    if _is_passing() and load(os.environ).mongo_uri is None:
        fix = "Set MONGO_URI to a MongoDB of its own."
        yield Finding(
            "store", "fault", "The private MongoDB and all that is logged go with this machine.", fix
        )


def _signing(services: Services) -> Found:
    settings = services.settings
    if settings.signing_key is not None:
        yield Finding("signing", "ok", "SIGNING_KEY is set.")
    elif _is_passing():
        fix = "Set SIGNING_KEY to the same secret for all processes."
        yield Finding("signing", "fault", "Each machine makes a key of its own here, and loses it.", fix)
    else:
        sentence = f"Models are signed with {settings.state_dir / 'signing-key'}."
        yield Finding("signing", "ok", sentence)


def _disk(services: Services) -> Found:
    settings = services.settings
    folder = settings.state_dir
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        yield Finding(
            "disk", "fault", f"STATE_DIR {folder} cannot be written.", f"chown it to user {os.getuid()}."
        )
        return
    free, wanted = shutil.disk_usage(folder).free, settings.spool_max_bytes * settings.web_concurrency
    if free < wanted:
        sentence = (
            f"{free // 10**6} MB are free, and spools may take {wanted // 10**6} MB while MongoDB is away."
        )
        yield Finding("disk", "warning", sentence, "Lower SPOOL_MAX_BYTES or give it a larger disk.")
    else:
        yield Finding("disk", "ok", f"{free // 10**6} MB are free for spools.")
    aside = [*(folder / "spool").glob("refused/*"), *(folder / "spool").glob("*.corrupt*")]
    if aside:
        sentence = f"{len(aside)} files of rows were set aside under {folder / 'spool'}."
        yield Finding("disk", "warning", sentence, "The log says why each was; keep or delete them.")


def _proxies(services: Services) -> Found:
    settings = services.settings
    if "*" in settings.trusted_proxies:
        fix = "Name the network of the proxy."
        yield Finding("proxies", "warning", "Anybody may say where a request comes from.", fix)
    if settings.rate_limit is None and services.keys.is_used:
        yield Finding("limits", "warning", "RATE_LIMIT is not set.", "RATE_LIMIT=600/minute is a start.")


def _trackers(services: Services) -> Found:
    for name in services.settings.trackers:
        if importlib.util.find_spec(name) is None:
            fix = f"Install it, or take {name} out of TRACKERS."
            yield Finding("trackers", "fault", f"{name} is not installed.", fix)


def _alerts(services: Services) -> Found:
    settings = services.settings
    if not settings.smtp_host and not settings.alert_webhook_url:
        fix = "Set ALERT_WEBHOOK_URL, or SMTP_HOST and ALERT_EMAIL_TO."
        yield Finding("alerts", "warning", "Alerts go to the log only.", fix)


def _models(services: Services) -> Found:
    for name in sorted(services.specs):
        version = services.registry.champion(name)
        if version is None:
            fix = f"python -m model train {name} --promote"
            is_default = name == services.settings.default_model
            yield Finding("models", "fault" if is_default else "warning", f"{name} has no champion.", fix)
            continue
        try:
            services.registry.verify(name, version)
        except VigiaError as error:
            fix = f"Give all processes the SIGNING_KEY it was signed with, or train it again: {name}"
            yield Finding("models", "fault", f"{name} {version}: {error.detail}", fix)
        else:
            yield Finding("models", "ok", f"{name} {version} is whole and signed by us.")
    if services.settings.default_model not in services.specs:
        fix = f"DEFAULT_MODEL is one of {', '.join(sorted(services.specs))}."
        yield Finding("models", "fault", f"There is no spec of {services.settings.default_model!r}.", fix)


def _clock(services: Services) -> Found:
    ends = [services.job_runs.last("monitor", outcome=outcome) for outcome in ("ok", "late")]
    last = max((end["finished_at"] for end in ends if end), default=None)
    if last is None:
        fix = "python -m mlops clock, as a process beside web."
        yield Finding("clock", "warning", "No drift check has run by schedule yet.", fix)
    elif last < now() - LATE:
        fix = "See whether a clock runs and what its log says."
        yield Finding("clock", "warning", f"The last drift check ended at {last:%Y-%m-%d %H:%M} UTC.", fix)
    else:
        yield Finding("clock", "ok", f"The last drift check ended at {last:%H:%M} UTC.")


def _indexes(services: Services) -> Found:
    missing = facts.missing_indexes(services.db)
    if missing:
        sentence = f"Indexes are missing in {', '.join(missing)}."
        yield Finding("indexes", "fault", sentence, "python -m mlops release")
    else:
        yield Finding("indexes", "ok", "All indexes are there.")


def _sealing(services: Services) -> Found:
    if not services.settings.encryption_keys:
        return
    for name in services.specs:
        services.predictions.last(name, 1)  # says so where it cannot be opened
    fields = ", ".join(services.settings.encrypt_fields) or "nothing more"
    yield Finding("sealing", "ok", f"Kept encrypted: {fields}. The newest rows can be opened.")


def _schema(services: Services) -> Found:
    found = migrations.standing(services.db)
    if found.sentence is None:
        yield Finding("schema", "ok", f"The database has schema version {found.database}, as this program.")
    elif found.is_too_new:
        yield Finding("schema", "fault", found.sentence, "Deploy the newer version again.")
    else:
        yield Finding("schema", "warning", found.sentence, "python -m mlops release")


def _log(services: Services) -> Found:
    folder = Path(services.settings.state_dir) / "spool"
    waiting = sum(path.stat().st_size for path in folder.glob("*.sqlite")) if folder.is_dir() else 0
    yield Finding("log", "ok", f"Spools take {waiting // 1_000} kB on this machine.")


CHECKS: tuple[Callable[[Services], Found], ...] = (
    _keys,
    _store,
    _signing,
    _disk,
    _proxies,
    _trackers,
    _alerts,
    _log,
)
WITH_MONGODB: tuple[Callable[[Services], Found], ...] = (_models, _clock, _indexes, _schema, _sealing)
