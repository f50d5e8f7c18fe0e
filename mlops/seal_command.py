"""``python -m mlops seal``: rows that are logged already, encrypted as new ones are."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import click
from tqdm import tqdm

from mlops.operations import Operations
from utils.errors import SettingsError
from utils.terminal import as_json, say


def seal_command(operations: Callable[[], AbstractContextManager[Operations]]) -> click.Command:
    """Return the command; ``operations`` connects to everything."""

    @click.command("seal")
    @as_json
    def seal(is_json: bool) -> None:
        """Encrypt what the log has of ENCRYPT_FIELDS in plain, or under another key than the first.

        May run while web and clock do. Interrupted, run it again: what is done already is left as it is.
        """
        with operations() as connected:
            n_rows = _seal(connected)
        say({"rows": n_rows}, f"{n_rows} rows were encrypted anew; now all are, with the first key.", is_json)

    return seal


def _seal(operations: Operations) -> int:
    services = operations.services
    if not services.settings.encrypt_fields:
        raise SettingsError("ENCRYPT_FIELDS is not set, so there is nothing to encrypt.")
    n_rows = 0
    with tqdm(desc="rows", disable=not sys.stderr.isatty()) as bar:
        for n_seen, n_changed in services.predictions.rewrite(services.sealing.renewed):
            n_rows += n_changed
            bar.update(n_seen)
    return n_rows
