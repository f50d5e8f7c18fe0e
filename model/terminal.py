"""What the command lines of this room share: one line and code 1 for an error, JSON or text for an answer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from utils.errors import VigiaError


@contextmanager
def errors() -> Iterator[None]:
    """Turn an error of ours into one line and exit code 1."""
    try:
        yield
    except VigiaError as error:
        click.echo(f"{error.title}: {error.detail}", err=True)
        sys.exit(1)


def say(found: Any, text: str, is_json: bool) -> None:
    """Print an answer, as JSON for programs or as text for people."""
    click.echo(msgspec.json.encode(found).decode() if is_json else text)
