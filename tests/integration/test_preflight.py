"""A wrong value of any setting stops the start of each process and names its variable."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from app.machine import Child, Machine
from mlops import preflight
from mlops.services import build
from tests.running import ROOT, environment, free_port, run
from utils.errors import SettingsError
from utils.settings import Settings, load

WRONG = [
    {"MONITOR_CRON": "99 * * * *"},
    {"RETRAIN_CRON": "a b c d e"},
    {"ALERT_WEBHOOK_URL": "garbage"},
    {"SMTP_HOST": "", "ALERT_EMAIL_TO": "jo@example.org"},
    {"ALERT_EMAIL_TO": "abc", "SMTP_HOST": "mail.example.org"},
    {"RATE_LIMIT": "abc"},
    {"API_KEYS_FILE": "/nope"},
    {"ADMIN_API_KEYS_FILE": "/nope"},
    {"HOST": "not a host"},
    {"REDACT_FIELDS": "email:foo"},
    {"SIGNING_KEY": "x"},
    {"TRACKERS": "foo"},
    {"DEFAULT_MODEL": "nope"},
    {"CORS_ORIGINS": "garbage"},
    {"TRUSTED_PROXIES": "garbage"},
    {"MLFLOW_TRACKING_URI": "foo://x"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "foo"},
    {"MODELS_DIR": "/nope"},
    {"STATE_DIR": "/proc/x"},
    {"MONGO_URI": "garbage"},
    {"ENCRYPTION_KEYS": "short"},
    {"ENCRYPT_FIELDS": "nope", "ENCRYPTION_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="},
]
FINE = {
    "TRACKERS": "none",
    "MONITOR_CRON": "*/5 * * * *",
    "RETRAIN_CRON": "0 3 * * mon",
    "RATE_LIMIT": "600/minute; 20/second",
    "CORS_ORIGINS": "https://a.example, http://localhost:3000",
    "ALERT_EMAIL_TO": "Jo <jo@example.org>,kim@example.org",
    "SMTP_HOST": "mail.example.org",
    "MLFLOW_TRACKING_URI": "postgresql+psycopg2://user@host/db",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "HOST": "::1",
    "MONGO_URI": "mongodb://one:27017,two:27017/?replicaSet=rs0",
}


def processes(tmp_path, wrong):
    """Start everything, web and clock with a wrong value; return how each ended."""
    given = {"STATE_DIR": tmp_path, "PORT": free_port(), "MONGO_URI": "mongodb://127.0.0.1:1"} | wrong
    web = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"]
    commands = [[sys.executable, "-m", "app"], web, [sys.executable, "-m", "mlops", "clock"]]
    return [
        subprocess.run(
            one, cwd=ROOT, env=environment(**given), capture_output=True, text=True, timeout=60, check=False
        )
        for one in commands
    ]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: next(iter(wrong)))
def test_a_wrong_value_is_found_before_anything_starts(wrong, tmp_path):
    with pytest.raises(SettingsError, match=f"^{next(iter(wrong))}"):
        preflight.check(load({"STATE_DIR": str(tmp_path)} | wrong, None))


def test_right_values_pass(tmp_path):
    given = FINE | {"STATE_DIR": str(tmp_path)}

    preflight.check(load(given, None))

    assert load(given, None).trackers == ()


@pytest.mark.parametrize("wrong", [{"MONITOR_CRON": "99 * * * *"}, {"MAX_ROWS": "many"}, {"TRACKERS": "foo"}])
def test_everything_web_and_clock_each_end_at_once_with_one_line(wrong, tmp_path):
    for done in processes(tmp_path, wrong):
        assert done.returncode == 1, done.args
        assert next(iter(wrong)) in done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("who is root may write anywhere")
    tmp_path.chmod(0o500)

    with pytest.raises(SettingsError, match="STATE_DIR: "):
        preflight.check(load({"STATE_DIR": str(tmp_path)}, None))


def test_a_setting_that_is_mistyped_in_dotenv_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("MAX_ROWZ=5\n")

    preflight.check(load({"STATE_DIR": str(tmp_path)}))

    assert ".env: MAX_ROWZ is no setting; is MAX_ROWS meant?" in caplog.text


@pytest.mark.parametrize("given", ["true", "false"])
def test_spools_are_opened_as_the_settings_say(given, tmp_path):
    wanted = {"SPOOL_FSYNC": given, "SPOOL_MAX_BYTES": "2000000", "STATE_DIR": str(tmp_path)}
    spool = build(load(wanted, None)).spool

    try:
        assert (spool._fsync, spool._max_bytes) == (given == "true", 2_000_000)
    finally:
        spool.close()


def test_a_port_that_is_taken_is_named_and_nothing_starts(tmp_path):

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("app", "--host", "127.0.0.1", "--port", str(port), STATE_DIR=tmp_path, timeout_s=60)

    assert done.returncode == 1
    assert f"vigia: PORT: cannot listen on 127.0.0.1:{port} (Address already in use)." in done.stderr
    assert "Dashboard" not in done.stdout


def test_an_address_of_another_machine_is_named(tmp_path):
    done = run("app", "--host", "192.0.2.1", "--port", "0", STATE_DIR=tmp_path, timeout_s=60)

    assert done.returncode == 1
    assert "vigia: HOST: cannot listen on 192.0.2.1:0" in done.stderr


def test_a_process_that_gives_up_at_its_start_ends_everything():
    hopeless = Child("hopeless", ("mlops", "no-such-command"))

    assert Machine(Settings())._watch([hopeless], None, threading.Event()) == 1


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("here.example", "http://here.example:8000"),
    ],
)
def test_the_printed_url_leads_to_the_host(host, url):
    assert Machine(Settings(host=host)).url == url
