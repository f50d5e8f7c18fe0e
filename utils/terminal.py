"""What all command lines share: exit codes, errors in one line, answers as JSON or text, a bar."""

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
def _an_error_as_any() -> Iterator[None]:
    """Let a wrong call end with 1: 2 says that drift was found, or that a gate failed."""
    try:
        yield
    except click.UsageError as error:
        error.exit_code = 1  # type: ignore[misc]  # of this one only
        raise


class Program(click.Command):
    """A command whose exit code is 1 where it is called wrongly."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments."""
        with _an_error_as_any():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Do what was asked."""
        with _an_error_as_any():
            return super().invoke(ctx)


class ProgramGroup(Program, click.Group):
    """A program with commands."""


@contextmanager
def errors() -> Iterator[None]:
    """Turn an error of ours into one line, of JSON where that was asked for, and exit code 1."""
    try:
        yield
    except VigiaError as error:
        click.echo(_told(error), err=True)
        sys.exit(1)


def _told(error: VigiaError) -> str:
    context = click.get_current_context(silent=True)
    if context is None or not context.params.get("is_json"):
        return f"{error.title}: {error.detail}"
    return msgspec.json.encode(error.summary()).decode()


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
