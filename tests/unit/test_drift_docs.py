"""What docs/drift.md says about commands and settings is what there is."""

import re
import shlex
from pathlib import Path

import click
import msgspec
import pytest

from mlops.__main__ import main
from model.spec import Drift

TEXT = (Path(__file__).parents[2] / "docs" / "drift.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m mlops (.+?)(?:\s+#.*)?$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_has_its_options(line):
    words, command = shlex.split(line), main
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))

    command.make_context(
        "documented",
        [word.replace("history.csv", __file__).replace("old.parquet", __file__) for word in words],
    )


def test_the_table_lists_every_setting_with_its_default():
    listed = dict(re.findall(r"^\| `(\w+)` \| (`\w+`|[\d.]+|none) \|", TEXT, re.MULTILINE))
    fields = {one.name: one.default for one in msgspec.structs.fields(Drift)}

    assert {name: value.strip("`") for name, value in listed.items()} == {
        name: "none" if value in (None, ()) else str(value) for name, value in fields.items()
    }
