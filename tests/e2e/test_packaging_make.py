"""``make run`` from a clean folder: with the real make, a real virtual environment and a tiny app in it."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
# As in a shell, and not as inside `make test`.
ENVIRON = {
    name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VENV"))
}
STOPPABLE = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit())
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
try:
    print("up", flush=True)
    signal.pause()
finally:
    pathlib.Path("stopped").touch()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``make run`` has run once."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(MAKEFILE, folder)
    for name in ("requirements.txt", "requirements-local.txt"):
        (folder / name).touch()
    app(folder, "")
    subprocess.run(["make", "run"], cwd=folder, env=ENVIRON, check=True)
    return folder


def app(folder: Path, source: str) -> None:
    """Make ``python -m app`` run this source."""
    (folder / "app.py").write_text(source)


def start(folder: Path) -> subprocess.Popen[str]:
    """Start ``make run`` in a process group of its own and wait until the app is up."""
    app(folder, STOPPABLE)
    (folder / "stopped").unlink(missing_ok=True)
    process = subprocess.Popen(
        ["make", "run"], cwd=folder, env=ENVIRON, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_the_second_run_installs_nothing(installed: Path) -> None:
    app(installed, "print('answered')")
    shutil.rmtree(next(installed.glob(".venv/lib/python3.*/site-packages/pip")))
    done = subprocess.run(
        ["make", "run"], cwd=installed, env=ENVIRON, capture_output=True, text=True, check=True
    )
    assert done.stdout == "answered\n"


def test_a_failing_app_fails_make(installed: Path) -> None:
    app(installed, "raise SystemExit(3)")
    done = subprocess.run(
        ["make", "run"], cwd=installed, env=ENVIRON, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Error 3" in done.stderr


def test_the_app_gets_the_settings_of_the_environment(installed: Path) -> None:
    app(installed, "import os; print(os.environ['PORT'])")
    environ = {**ENVIRON, "PORT": "8123"}
    done = subprocess.run(
        ["make", "run"], cwd=installed, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "8123\n"


def test_sigterm_to_make_reaches_the_app(installed: Path) -> None:
    process = start(installed)
    process.terminate()
    process.communicate(timeout=10)
    assert (installed / "stopped").exists()


def test_ctrl_c_ends_the_app_before_make_returns(installed: Path) -> None:
    process = start(installed)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    process.communicate(timeout=10)
    assert (installed / "stopped").exists()


def test_without_a_fitting_python_make_says_what_to_install(tmp_path: Path) -> None:
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "requirements-local.txt").touch()
    environ = {"PATH": str(tmp_path / "empty"), "HOME": str(tmp_path)}
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "run"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "apt install python3 python3-venv" in done.stderr
