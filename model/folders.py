"""Where specs are: the bundled ones, the folders that settings name, and those that ``init`` wrote to."""

from pathlib import Path

from model import spec
from utils.settings import Settings

OWN = "models"
REMEMBERED = "model-folders"


def folders(settings: Settings) -> tuple[Path, ...]:
    """Return the folders of specs in the order in which a later one wins."""
    own = settings.state_dir / OWN
    return (spec.BUNDLED, *([own] if own.is_dir() else []), *settings.models_dir)


def home(settings: Settings) -> Path:
    """Return the folder that a new spec goes to where none is named."""
    return settings.models_dir[0] if settings.models_dir else settings.state_dir / OWN


def remembered(settings: Settings) -> tuple[Path, ...]:
    """Return the folders that ``remember`` was called with and that are still there."""
    path = settings.state_dir / REMEMBERED
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return tuple(folder for line in dict.fromkeys(lines) if (folder := Path(line)).is_dir())


def remember(settings: Settings, folder: Path) -> None:
    """Let the command line find specs in a folder that no setting names."""
    if folder.resolve() in [known.resolve() for known in (*folders(settings), *remembered(settings))]:
        return
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with (settings.state_dir / REMEMBERED).open("a", encoding="utf-8") as file:
        file.write(f"{folder.resolve()}\n")
