"""What must be right before anything starts: every setting is looked at, and the wrong one is named.

``utils.settings`` knows the form of each value; here is what only the parts that use one can tell. Called
before anything is started or connected, by each kind of process. Light.
"""

import ipaddress
import logging
import os
from collections.abc import Mapping, Sequence

from mlops import limits
from mlops.channels import Notifier
from mlops.keys import KeyRing
from mlops.redaction import Redaction
from mlops.registry import signing_key
from mlops.sealing import Sealing
from mlops.tracking.fanout import Trackers
from model.folders import folders
from model.spec import Spec, load_all
from utils.addresses import check_host
from utils.errors import SettingsError
from utils.mongo import connection
from utils.settings import Settings, mistyped

log = logging.getLogger(__name__)

EVERYBODY = "*"


def check(settings: Settings) -> None:
    """Raise SettingsError, naming the variable, unless everything can start with these settings.

    This reads the specs, and raises SpecError for a wrong one; ``check_specs`` is for who has them.
    """
    check_values(settings)
    check_specs(settings, {name: spec for name, (spec, _) in load_all(folders(settings)).items()})


def check_values(settings: Settings) -> None:
    """Do the same without the specs."""
    for name, meant in mistyped().items():
        log.warning(".env: %s is no setting; is %s meant?", name, meant)
    check_host(settings.host)
    check_trusted(settings.trusted_proxies)
    _check_folders(settings)
    _check_crons(settings)
    if settings.rate_limit is not None:
        limits.parsed(settings.rate_limit)
    if settings.mongo_uri is not None:
        connection.check(settings.mongo_uri)
    # Each says itself what it cannot be made of; nothing of this is used or started.
    KeyRing(settings)
    Redaction(settings.redact_fields, bytes)
    Notifier.build(settings)
    Trackers.build(settings)
    signing_key(settings)


def check_specs(settings: Settings, specs: Mapping[str, Spec]) -> None:
    """Raise SettingsError unless what the settings name is in the specs."""
    if settings.default_model not in specs:
        known = ", ".join(sorted(specs))
        raise SettingsError(f"DEFAULT_MODEL: there is no spec of {settings.default_model!r}, but of {known}.")
    redaction = Redaction(settings.redact_fields, bytes)
    Sealing(settings.encrypt_fields, settings.encryption_keys).check(specs.values(), redaction)


def check_trusted(trusted: Sequence[str]) -> None:
    """Raise SettingsError unless all of ``trusted`` are addresses, networks or ``*``."""
    for one in trusted:
        try:
            ipaddress.ip_network("0.0.0.0/0" if one == EVERYBODY else one, strict=False)
        except ValueError:
            raise SettingsError(f"TRUSTED_PROXIES: {one!r} is neither an address nor a network.") from None


def _check_folders(settings: Settings) -> None:
    for folder in settings.models_dir:
        if not folder.is_dir():
            raise SettingsError(f"MODELS_DIR: there is no folder {folder}.")
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"STATE_DIR: {folder} cannot be made ({error.strerror}).") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(f"STATE_DIR: {folder} cannot be written by user {os.getuid()}.")


def _check_crons(settings: Settings) -> None:
    given = {"MONITOR_CRON": settings.monitor_cron, "RETRAIN_CRON": settings.retrain_cron}
    for variable, cron in given.items():
        if cron not in (None, Settings().monitor_cron):
            from mlops.clock import trigger_of  # a scheduler, which the web process does without

            trigger_of(variable, str(cron))
