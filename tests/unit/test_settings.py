"""Settings come from the environment, are checked, and never show secrets."""

import re
from pathlib import Path

import pytest

from utils.errors import SettingsError
from utils.settings import catalogue, load, mistyped, origins

ROOT = Path(__file__).parents[2]


def test_without_any_variable_all_settings_have_their_defaults():
    settings = load({}, None)

    assert settings.port == 8000
    assert settings.mongo_uri is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("ALLOW_ANONYMOUS", "maybe"),
        ("MONITOR_CRON", "* *"),
        ("RETENTION_DAYS", "0"),
        ("MAX_ROWS", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("NEPTUNE_MODE", "online-ish"),
    ],
)
def test_a_wrong_value_stops_the_start_and_names_its_variable(variable, value):
    with pytest.raises(SettingsError, match=f"^{variable}: ") as caught:
        load({variable: value}, None)

    assert value in caught.value.detail


def test_a_wrong_secret_is_not_repeated_in_the_message():
    with pytest.raises(SettingsError) as caught:
        load({"SIGNING_KEY_FILE": "/no/such/file"}, None)

    assert caught.value.detail.startswith("SIGNING_KEY_FILE: ")


def test_lists_are_separated_by_commas():
    assert load({"API_KEYS": "one, two,"}, None).api_keys == ("one", "two")


@pytest.mark.parametrize("variable", ["MONGO_URI", "MONGODB_URI", "MONGO_URL"])
def test_mongodb_may_be_named_by_the_variables_that_platforms_set(variable):
    assert load({variable: "mongodb://here"}, None).mongo_uri == "mongodb://here"


def test_a_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "key").write_text("s3cret\n")

    assert load({"SIGNING_KEY_FILE": str(tmp_path / "key")}, None).signing_key == "s3cret"


def test_the_environment_wins_over_dotenv(tmp_path):
    (tmp_path / ".env").write_text("PORT=1\nHOST=there\n")

    settings = load({"PORT": "2"}, tmp_path / ".env")

    assert (settings.port, settings.host) == (2, "there")
    assert origins({"PORT": "2"}, tmp_path / ".env")["host"] == (".env", "there")


def test_the_variable_that_gave_a_setting_is_named_where_it_is_not_its_own(tmp_path):
    (tmp_path / "key").write_text("s3cret")
    given = {"MONGO_URL": "mongodb://here", "SIGNING_KEY_FILE": str(tmp_path / "key"), "PORT": "1"}

    found = origins(given, None)

    assert found["mongo_uri"] == ("environment: MONGO_URL", "mongodb://here")
    assert found["signing_key"] == ("environment: SIGNING_KEY_FILE", "s3cret")
    assert found["port"] == ("environment", "1")


def test_names_in_dotenv_that_are_nearly_settings_are_found(tmp_path):
    (tmp_path / ".env").write_text(
        "MAX_ROWZ=5\nMONITOR_CORN=* * * * *\nMONGO_URL=mongodb://x\nSIGNING_KEY_FILE=/x\nEDITOR=vi\nPORT=1\n"
    )

    assert mistyped(tmp_path / ".env") == {"MAX_ROWZ": "MAX_ROWS", "MONITOR_CORN": "MONITOR_CRON"}


def test_no_secret_is_in_the_repr():
    assert "s3cret" not in repr(load({"API_KEYS": "s3cret"}, None))


def test_the_table_in_the_docs_lists_exactly_the_settings():
    table = (ROOT / "docs" / "settings.md").read_text()

    assert re.findall(r"^\| `([A-Z_]+)`", table, re.M) == [setting.variable for setting in catalogue()]


def test_each_row_of_the_docs_has_the_description_of_the_code():
    table = (ROOT / "docs" / "settings.md").read_text()

    assert [s.variable for s in catalogue() if s.description not in table] == []
