"""``python -m mlops erase`` and ``subjects``: one person's rows, erased, shown or held."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import click

from mlops.operations import Operations
from utils.terminal import as_json, say, user

Connected = Callable[[], AbstractContextManager[Operations]]


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
            found = connected.services.subjects.erase(subject, user())
        learnt = ", ".join(f"{one['model']} {one['version']} ({one['n_rows']})" for one in found["versions"])
        text = (
            f"{found['n_predictions']} predictions, {found['n_labels']} labels and {found['n_files']} files "
            f"are gone. Versions that learnt from them (rows): {learnt or 'none'}."
        )
        say(found, text, is_json)

    return erase


def _group(operations: Connected) -> click.Group:
    @click.group("subjects")
    def group() -> None:
        """What is logged of one person."""

    @group.command("export")
    @click.argument("subject")
    @as_json
    def export(subject: str, is_json: bool) -> None:
        """Print all that is logged of SUBJECT, as JSON with and without --json."""
        with operations() as connected:
            say(connected.services.subjects.export(subject), "", is_json=True)

    @group.command("hold")
    @click.argument("subject")
    @click.option("--reason", required=True, help="Why; whoever asks for an erasure is told.")
    @as_json
    def hold(subject: str, reason: str, is_json: bool) -> None:
        """Keep the rows of SUBJECT, whatever is asked and however old they get."""
        with operations() as connected:
            found = connected.services.subjects.hold(subject, reason, user())
        say(found, f"{found['n_predictions']} predictions are held.", is_json)

    @group.command("release")
    @click.argument("subject")
    @as_json
    def release(subject: str, is_json: bool) -> None:
        """End the hold of SUBJECT."""
        with operations() as connected:
            connected.services.subjects.release(subject)
        say({"subject": subject, "is_held": False}, "Nothing is held.", is_json)

    return group
