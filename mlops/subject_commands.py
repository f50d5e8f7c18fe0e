"""``python -m mlops erase`` and ``subjects``: one person's rows, erased, shown or held."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import click
import msgspec

from mlops.operations import Operations

Connected = Callable[[], AbstractContextManager[Operations]]
as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


def add_to(main: click.Group, operations: Connected) -> None:
    """Add the commands; ``operations`` connects."""
    main.add_command(_erase(operations))
    main.add_command(_group(operations))


def _erase(operations: Connected) -> click.Command:
    @click.command("erase")
    @click.argument("subject")
    @as_json
    def erase(subject: str, is_json: bool) -> None:
        """Erase all that is logged of SUBJECT; rows under a hold stay, and it says why."""
        with operations() as connected:
            found = connected.services.subjects.erase(subject, _user())
        learnt = ", ".join(f"{one['model']} {one['version']} ({one['n_rows']})" for one in found["versions"])
        text = (
            f"{found['n_predictions']} predictions, {found['n_labels']} labels and {found['n_files']} files "
            f"are gone. Versions that learnt from them (rows): {learnt or 'none'}."
        )
        click.echo(_json(found) if is_json else text)

    return erase


def _group(operations: Connected) -> click.Group:
    @click.group("subjects")
    def group() -> None:
        """What is logged of one person."""

    @group.command("export")
    @click.argument("subject")
    def export(subject: str) -> None:
        """Print all that is logged of SUBJECT as JSON."""
        with operations() as connected:
            click.echo(_json(connected.services.subjects.export(subject)))

    @group.command("hold")
    @click.argument("subject")
    @click.option("--reason", required=True, help="Why; whoever asks for an erasure is told.")
    @as_json
    def hold(subject: str, reason: str, is_json: bool) -> None:
        """Keep the rows of SUBJECT, whatever is asked and however old they get."""
        with operations() as connected:
            found = connected.services.subjects.hold(subject, reason, _user())
        click.echo(_json(found) if is_json else f"{found['n_predictions']} predictions are held.")

    @group.command("release")
    @click.argument("subject")
    def release(subject: str) -> None:
        """End the hold of SUBJECT."""
        with operations() as connected:
            connected.services.subjects.release(subject)
        click.echo("Nothing is held.")

    return group


def _json(found: Any) -> str:
    return msgspec.json.encode(found).decode()


def _user() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "command line"
