"""``python -m app``: everything on this machine: a private MongoDB, models, web service, clock."""

import os
import sys
from pathlib import Path

import click

from app.machine import Machine
from mlops import preflight
from mlops.services import DEMO_END
from utils import logs
from utils.errors import VigiaError
from utils.settings import load
from utils.terminal import Program

MAX_NAME = 38 - len(DEMO_END)


@click.command(cls=Program)
@click.option("--host", help="Address to listen on (HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (PORT).")
@click.option("--models", type=click.Path(exists=True, file_okay=False), help="Further folder of specs.")
@click.option("--demo", "is_demo", is_flag=True, help="Two made-up weeks, in a database of their own.")
def main(host: str | None, port: int | None, models: str | None, is_demo: bool) -> None:
    """Run the service, its clock and, where MONGO_URI is unset, a private MongoDB until Ctrl-C."""
    given = {"HOST": host, "PORT": None if port is None else str(port), "MODELS_DIR": _joined(models)}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    os.environ.setdefault("LOG_FORMAT", "text" if sys.stderr.isatty() else "json")
    try:
        if is_demo:
            _set_apart()
        settings = load(os.environ)
        logs.configure(settings.log_level, settings.log_format)
        preflight.check(settings)
        sys.exit(Machine(settings, is_demo=is_demo).run())
    except VigiaError as error:
        click.echo(f"vigia: {error.detail}", err=True)
        sys.exit(1)


def _set_apart() -> None:
    """Give the demo a folder and a database of its own, whose name also keeps it from telling anybody."""
    own = load(os.environ)
    os.environ["STATE_DIR"] = str(own.state_dir / "demo")
    os.environ["MONGO_DB"] = own.mongo_db[:MAX_NAME] + DEMO_END
    os.environ["DEFAULT_MODEL"] = "songs"
    os.environ["TRACKERS"] = "none"


def _joined(models: str | None) -> str | None:
    """Return MODELS_DIR with the further folder, absolute, at its end."""
    if models is None:
        return None
    before = [os.environ["MODELS_DIR"]] if os.environ.get("MODELS_DIR") else []
    return ",".join([*before, str(Path(models).resolve())])


if __name__ == "__main__":
    main()
