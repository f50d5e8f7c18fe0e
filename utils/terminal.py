"""What all command lines share: errors in one line, answers as JSON or text, a bar for long work."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from tqdm import tqdm

from utils.errors import VigiaError

as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


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


def user() -> str:
    """Return who is at work."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "command line"


def progress_bar(title: str) -> Callable[[str, int, int], None]:
    """Return what shows a step: what begins, how many are done and how many there are.

    There is a bar on a terminal, and nothing elsewhere.
    """
    bar = tqdm(desc=title, disable=not sys.stderr.isatty(), bar_format="{desc} {bar} {n}/{total}")

    def show(what: str, n_done: int, n_steps: int) -> None:
        bar.total = n_steps
        bar.set_description_str(f"{title}: {what:<30}", refresh=False)
        bar.update(n_done + 1 - bar.n)
        bar.refresh()
        if n_done + 1 == n_steps:
            bar.close()

    return show
