"""What all command lines promise: their exit codes, and --json."""

import importlib
import json

import click
import pytest
from click.testing import CliRunner

from utils.errors import NotFoundError
from utils.terminal import as_json, errors

PROGRAMS = ("app.__main__", "mlops.__main__", "model.__main__", "data.__main__")
WRONG = [
    ("mlops.__main__", ["no-such-command"]),
    ("mlops.__main__", ["retrain", "songs", "--data", "/no/such/file"]),
    ("mlops.__main__", ["labels", "import", "/no/such/file"]),
    ("mlops.__main__", ["shadow", "songs"]),
    ("mlops.__main__", ["backtest", "--data", "/no/such/file"]),
    ("model.__main__", ["train"]),
    ("model.__main__", ["evaluate", "songs", "--wrong"]),
    ("model.__main__", ["train", "songs", "--promote", "--out", "x"]),
    ("data.__main__", ["make", "no-such-table"]),
    ("app.__main__", ["--port", "many"]),
    ("app.__main__", ["--models", "/no/such/folder"]),
]


def program(name):
    return importlib.import_module(name).main


def commands(command, path=()):
    """Yield each command that does something, with the words that call it; the hidden ones are our own."""
    context = click.Context(command)
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if not found.hidden:
            yield from commands(found, (*path, name))


@pytest.mark.parametrize(("name", "words"), WRONG)
def test_a_wrong_call_ends_with_1_as_2_means_drift_or_a_failed_gate(name, words):
    done = CliRunner().invoke(program(name), words)

    assert done.exit_code == 1, done.output
    assert "Usage" in done.output


@pytest.mark.parametrize("name", PROGRAMS[1:])
def test_each_command_takes_json(name):
    found = dict(commands(program(name)))

    assert len(found) >= 3
    assert [
        words for words, one in found.items() if "--json" not in {o for p in one.params for o in p.opts}
    ] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Not found: There is none.\n"),
        (["--json"], {"status": 404, "code": "not_found", "title": "Not found", "detail": "There is none."}),
    ],
)
def test_an_error_is_one_line_and_json_where_that_was_asked_for(words, said):
    @click.command()
    @as_json
    def failing(is_json):
        with errors():
            raise NotFoundError("There is none.")

    done = CliRunner().invoke(failing, words)

    assert done.exit_code == 1
    assert done.stdout == ""
    assert (json.loads(done.stderr) if words else done.stderr) == said
