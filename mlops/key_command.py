"""``python -m mlops keys``: new keys for a file of keys."""

from datetime import timedelta

import click

from mlops import keys
from mlops.keys import PLAIN, SCOPES, Scope
from utils.terminal import as_json, errors, say
from utils.time import now


@click.group("keys")
def keys_group() -> None:
    """Keys with names, scopes and expiry, for API_KEYS_FILE."""


@keys_group.command("new")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="What it opens (predict, label).",
)
@click.option("--days", type=click.IntRange(1, 3_650), help="How long it opens it. Unset: until removed.")
@as_json
def new(name: str, scopes: tuple[Scope, ...], days: int | None, is_json: bool) -> None:
    """Make a key for NAME. Prints it, once, and the line for API_KEYS_FILE."""
    with errors():
        expires_at = None if days is None else now() + timedelta(days=days)
        secret, key = keys.new(name, scopes or PLAIN, expires_at)
    found = {"name": name, "key": secret, "line": key.line, "expires_at": expires_at}
    say(found, f"The key, shown this once:  {secret}\nThe line of API_KEYS_FILE:  {key.line}", is_json)
