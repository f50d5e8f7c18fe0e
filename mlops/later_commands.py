"""A command group some of whose commands are imported when they are called, as their libraries are heavy."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from utils.terminal import ProgramGroup


class LaterGroup(ProgramGroup):
    """A group with further commands in modules of their own.

    Parameters
    ----------
    later : mapping of command name to module
        The module has the command under its own name.
    """

    def __init__(self, *args: Any, later: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self._later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported if need be; None if there is none of that name."""
        if cmd_name not in self._later:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(importlib.import_module(self._later[cmd_name]), cmd_name)
        return found
