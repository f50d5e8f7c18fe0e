"""Settings: read once from the environment (and a ``.env`` file), checked, and frozen.

A field ``mongo_uri`` is the variable ``MONGO_URI``; a secret may also come from the file named by
``MONGO_URI_FILE``. The environment wins over ``.env``. A wrong value stops the start and names its variable.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

from utils.errors import SettingsError

MASK = "********"

Secret = Meta(extra={"is_secret": True})
CronLine = Annotated[str, Meta(pattern=r"^\S+( \S+){4}$")]
Cron = Meta(pattern=r"^\S+( \S+){4}$")
Words = tuple[str, ...]
Origin = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://[^/\s]+$")]
Mailbox = Annotated[str, Meta(pattern=r"^[^@]+@[^@\s]+$")]
HttpUrl = Annotated[str, Meta(pattern=r"^https?://\S+$")]
# What MLflow takes: a server, a database, Databricks or a folder.
MlflowStore = Annotated[
    str,
    Meta(
        pattern=r"^((https?|file|sqlite|(postgresql|mysql|mssql)(\+\w+)?):.+|databricks(://.*)?|[^:]+|[A-Za-z]:[\\/].*)$"
    ),
]
DaskAddress = Annotated[str, Meta(pattern=r"^(tcp|tls|ucx|ws|wss)://.+:\d+$")]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set from outside. The table in ``docs/settings.md`` lists the same fields."""

    host: Annotated[str, Meta(description="Address the web service listens on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port of the web service.")] = 8000
    web_concurrency: Annotated[int, Meta(ge=1, le=64, description="Number of web processes.")] = 2

    mongo_uri: Annotated[
        str | None,
        Secret,
        Meta(description="MongoDB to use (also `MONGODB_URI`, `MONGO_URL`). Unset: a private local one."),
    ] = None
    mongo_db: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,38}$", description="Name of the database.")] = (
        "vigia"
    )
    mongod: Annotated[
        Path | None, Meta(description="Path of the `mongod` program for the private MongoDB.")
    ] = None
    state_dir: Annotated[Path, Meta(description="Folder of the spool, the private MongoDB and keys.")] = Path(
        "var"
    )

    default_model: Annotated[str, Meta(description="The model that `POST /predict` asks.")] = "songs"
    models_dir: Annotated[
        tuple[Path, ...], Meta(description="Further folders with specs, separated by commas.")
    ] = ()

    api_keys: Annotated[Words, Secret, Meta(description="Keys that may predict and label, by commas.")] = ()
    admin_api_keys: Annotated[Words, Secret, Meta(description="Keys that may do everything, by commas.")] = ()
    api_keys_file: Annotated[
        Path | None,
        Meta(description="File of keys, named or plain, read again when it changes (`mlops keys new`)."),
    ] = None
    admin_api_keys_file: Annotated[
        Path | None, Meta(description="The same for keys that may do everything.")
    ] = None
    allow_anonymous: Annotated[
        bool, Meta(description="With no keys set: answer everybody, not only this machine.")
    ] = False
    signing_key: Annotated[
        str | None,
        Secret,
        Meta(description="Signs stored models. Unset: made once and kept in `STATE_DIR/signing-key`."),
    ] = None

    max_rows: Annotated[int, Meta(ge=1, description="Most rows in one request.")] = 10_000
    max_body_bytes: Annotated[int, Meta(ge=1_000, description="Largest request body, in bytes.")] = 8_388_608
    max_pending: Annotated[
        int, Meta(ge=1, description="Most predictions under way in one web process; more get 503.")
    ] = 64
    rate_limit: Annotated[
        str | None,
        Meta(description="Most requests of one key, else of one address: `600/minute; 20/second`."),
    ] = None
    rate_limit_storage: Annotated[
        Literal["memory", "mongodb"],
        Meta(description="Where they are counted: in each web process for itself, or once for all."),
    ] = "memory"
    trusted_proxies: Annotated[
        Words,
        Meta(description="Addresses or networks of proxies whose `X-Forwarded-*` headers are believed."),
    ] = ()
    cors_origins: Annotated[
        tuple[Origin, ...], Meta(description="Origins whose pages may call the API, by commas. Unset: none.")
    ] = ()
    spool_max_bytes: Annotated[
        int, Meta(ge=1_000_000, description="Most bytes one web process keeps while MongoDB is away.")
    ] = 1_073_741_824
    spool_fsync: Annotated[
        bool, Meta(description="Write each answer through to the disk, against power cuts.")
    ] = False

    monitor_cron: Annotated[str, Cron, Meta(description="When drift is checked (five cron fields, UTC).")] = (
        "0 * * * *"
    )
    retrain_cron: Annotated[
        CronLine | None,
        Meta(description="When models with new labels are retrained (cron, UTC). Unset: never by itself."),
    ] = None
    trackers: Annotated[
        Words, Meta(description="Where metrics go: `neptune`, `mlflow`, by commas; or `none`.")
    ] = ("neptune",)
    neptune_api_token: Annotated[
        str | None,
        Secret,
        Meta(description="Token of a self-hosted Neptune, used with `NEPTUNE_PROJECT`. Unset: offline runs."),
    ] = None
    neptune_project: Annotated[str | None, Meta(description="Neptune project, `workspace/name`.")] = None
    neptune_mode: Annotated[
        Literal["async", "offline", "debug"] | None, Meta(description="Overrides how Neptune is used.")
    ] = None
    mlflow_tracking_uri: Annotated[
        MlflowStore | None, Secret, Meta(description="MLflow server or store. Unset: `STATE_DIR/mlflow.db`.")
    ] = None

    alert_webhook_url: Annotated[
        str | None, Secret, Meta(description="Gets every alert as JSON (Slack reads it, too).")
    ] = None
    smtp_host: Annotated[str | None, Meta(description="Mail server for alerts. Unset: no mail.")] = None
    smtp_port: Annotated[int, Meta(ge=1, le=65535, description="Port of the mail server.")] = 587
    smtp_user: Annotated[str | None, Meta(description="User at the mail server.")] = None
    smtp_password: Annotated[str | None, Secret, Meta(description="Password at the mail server.")] = None
    alert_email_to: Annotated[
        tuple[Mailbox, ...], Meta(description="Who gets alerts by mail, by commas.")
    ] = ()

    dask_scheduler_address: Annotated[
        DaskAddress | None,
        Meta(description="Dask cluster for large work, `tcp://host:8786`. Unset: processes of this machine."),
    ] = None
    retention_days: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Days after which logged predictions go. Unset: kept."),
    ] = None
    redact_fields: Annotated[
        Words, Meta(description="Fields that the log does not show: `email:drop`, `name:hash`, `phone:mask`.")
    ] = ()
    encrypt_fields: Annotated[
        Words, Meta(description="Features whose values are kept encrypted: `income`, `people/name`.")
    ] = ()
    encryption_keys: Annotated[
        Words,
        Secret,
        Meta(description="Keys for them, 32 bytes in base64, by commas: the first encrypts, all decrypt."),
    ] = ()
    otel_exporter_otlp_endpoint: Annotated[
        HttpUrl | None,
        Meta(description="OpenTelemetry collector for traces (OTLP over HTTP). Unset: none."),
    ] = None
    otel_service_name: Annotated[str, Meta(description="What traces call this service.")] = "vigia"
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least level that is logged.")
    ] = "INFO"
    log_format: Annotated[Literal["json", "text"], Meta(description="Form of the log lines.")] = "json"

    def __repr__(self) -> str:
        """Never show values: some are secrets, and reprs end up in logs."""
        return "Settings(...)"


# An empty variable counts as unset, so a list with a default needs a word for an empty list.
NONE = {("trackers", "none")}
ALIASES = {"mongo_uri": ("MONGODB_URI", "MONGO_URL")}
OTHER_NAMES = {name for names in ALIASES.values() for name in names}
# How alike two names are (0 to 1) of which one is taken for the other mistyped.
ALIKE = 0.85


class Setting(msgspec.Struct, frozen=True):
    """One field as the docs and ``config show`` need it."""

    name: str
    description: str
    default: Any
    is_secret: bool

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return self.name.upper()


def catalogue() -> list[Setting]:
    """Return every setting in the order of ``Settings``."""
    info = msgspec.inspect.type_info(Settings)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101  narrows the type
    return [_setting(field) for field in info.fields]


def _setting(field: msgspec.inspect.Field) -> Setting:
    kind = field.type
    meta = kind if isinstance(kind, msgspec.inspect.Metadata) else msgspec.inspect.Metadata(kind)
    extra, schema = meta.extra or {}, meta.extra_json_schema or {}
    return Setting(field.name, schema.get("description", ""), field.default, bool(extra.get("is_secret")))


def load(environ: Mapping[str, str], dotenv: Path | None = Path(".env")) -> Settings:
    """Read the settings.

    Parameters
    ----------
    environ : mapping
        The environment, usually ``os.environ``.
    dotenv : Path, optional
        File with further variables; the environment wins over it. A missing file is no error.

    Raises
    ------
    SettingsError
        If a value cannot be used; the message names the variable.
    """
    values = origins(environ, dotenv)
    return Settings(**{name: _parse(name, text) for name, (_, text) in values.items()})


def origins(environ: Mapping[str, str], dotenv: Path | None = Path(".env")) -> dict[str, tuple[str, str]]:
    """Return for each setting that is given where it comes from and its text, secrets unmasked.

    Where another variable than the setting's own gave it, that one is named behind the place.
    """
    places = (("environment", environ), (".env", _in_file(dotenv)))
    found = {}
    for setting in catalogue():
        for source, variables in places:
            given = _lookup(setting, variables)
            if given is not None:
                variable, text = given
                found[setting.name] = (
                    source if variable == setting.variable else f"{source}: {variable}",
                    text,
                )
                break
    return found


def mistyped(dotenv: Path | None = Path(".env")) -> dict[str, str]:
    """Return the names in the file that are no setting but nearly one, with the one that was meant."""
    known = {setting.variable for setting in catalogue()}
    others = [name for name in _in_file(dotenv) if name not in known and not name.endswith("_FILE")]
    near = {name: get_close_matches(name, known, 1, ALIKE) for name in others if name not in OTHER_NAMES}
    return {name: meant[0] for name, meant in near.items() if meant}


def _in_file(dotenv: Path | None) -> dict[str, str]:
    found = dotenv_values(dotenv) if dotenv and dotenv.is_file() else {}
    return {name: value for name, value in found.items() if value}


def _lookup(setting: Setting, variables: Mapping[str, str]) -> tuple[str, str] | None:
    """Return which variable gives a setting, and its text."""
    for variable in (setting.variable, *ALIASES.get(setting.name, ())):
        if variables.get(variable):
            return variable, variables[variable]
        has_own_file = f"{setting.name}_file" in Settings.__struct_fields__
        if setting.is_secret and not has_own_file and variables.get(f"{variable}_FILE"):
            name = f"{variable}_FILE"
            return name, _read_secret(name, Path(variables[name]))
    return None


def _read_secret(variable: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{variable}: cannot read {path} ({error.strerror}).") from None


def _parse(name: str, text: str) -> Any:
    kind = msgspec.structs.fields(Settings)[Settings.__struct_fields__.index(name)].type
    value: object = text
    if "tuple" in str(kind):
        value = [] if (name, text) in NONE else [word.strip() for word in text.split(",") if word.strip()]
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_to_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{name.upper()}: {_shown(name, text)} cannot be used. {error}.") from None


def _shown(name: str, text: str) -> str:
    is_secret = next(setting.is_secret for setting in catalogue() if setting.name == name)
    return "the value" if is_secret else repr(text)


def _to_path(kind: type, value: object) -> object:
    return Path(str(value)) if issubclass(kind, Path) else value
