"""Where a new spec goes, under which name, and how it names its table."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from model import folders
from model import spec as specs
from utils import settings
from utils.errors import ConflictError
from utils.settings import Settings

MAX_NAME = 63


@dataclass(frozen=True)
class Place:
    """The file of a new spec."""

    name: str
    path: Path
    settings: Settings

    @staticmethod
    def of(data: Path, name: str | None, out: Path | None, is_forced: bool) -> "Place":
        """Choose a place: the folder and name that are given, else our own folder and the name of the file.

        Raises ConflictError if a spec is there and may not be written over.
        """
        found = settings.load(os.environ)
        folder = out or folders.home(found)
        chosen = name or _free_name(data, found, folder)
        path = folder / f"{chosen}.yaml"
        if path.exists() and not is_forced:
            raise ConflictError(
                f"{path} is there already; --force writes over it, --name takes another name."
            )
        return Place(chosen, path, found)

    def train(self, data: Path) -> str:
        """Return how the spec names a file: relative to itself, so that both can move together."""
        return Path(os.path.relpath(data.resolve(), self.path.parent.resolve())).as_posix()

    def write(self, text: str) -> None:
        """Write the spec, whole or not at all, and let the command line find it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(f".{os.getpid()}.part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.path)
        folders.remember(self.settings, self.path.parent)


def _free_name(data: Path, found: Settings, folder: Path) -> str:
    """Return a name made of that of the file, other than those of models elsewhere."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", data.name.split(".")[0]).strip("_-")[: MAX_NAME - 4] or "model"
    known = specs.load_all(folders.folders(found))
    taken = {name for name, (_, path) in known.items() if path.parent.resolve() != folder.resolve()}
    return next(name for name in (stem, *(f"{stem}-{i}" for i in range(2, 1_000))) if name not in taken)
