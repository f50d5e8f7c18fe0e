"""``python -m mlops keys``: new keys for a file of keys."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import click
import msgspec

from mlops import keys
from mlops.keys import PLAIN, SCOPES, Scope
from utils.time import now


def key_group(errors: Callable[[], AbstractContextManager[None]]) -> click.Group:
    """Return the commands; ``errors`` turns errors of ours into a line and exit code 1."""

    @click.group("keys")
    def group() -> None:
        """Keys with names, scopes and expiry, for API_KEYS_FILE."""

    @group.command("new")
    @click.argument("name")
    @click.option(
        "--scope",
        "scopes",
        type=click.Choice(SCOPES),
        multiple=True,
        help="What it opens (predict, label).",
    )
    @click.option("--days", type=click.IntRange(1, 3_650), help="How long it opens it. Unset: until removed.")
    @click.option("--json", "is_json", is_flag=True, help="Print JSON.")
    def new(name: str, scopes: tuple[Scope, ...], days: int | None, is_json: bool) -> None:
        """Make a key for NAME. Prints it, once, and the line for API_KEYS_FILE."""
        with errors():
            expires_at = None if days is None else now() + timedelta(days=days)
            secret, key = keys.new(name, scopes or PLAIN, expires_at)
        if is_json:
            found: dict[str, Any] = {"name": name, "key": secret, "line": key.line, "expires_at": expires_at}
            click.echo(msgspec.json.encode(found).decode())
        else:
            click.echo(f"The key, shown this once:  {secret}\nThe line of API_KEYS_FILE:  {key.line}")

    return group
