"""The commands in the pages on security, private data and operations do what the pages say."""

import re
import shlex
import shutil

import pytest

from tests.running import ROOT, run
from utils.mongo import connection

PAGES = ("security", "privacy", "operations")
COMMAND = re.compile(r"^python -m (mlops [^#\n]*)", re.MULTILINE)


def commands(page):
    """Return the commands of a page's blocks, in order."""
    blocks = re.findall(
        r"^```\n(.*?)^```", (ROOT / "docs" / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return [shlex.split(found) for block in blocks for found in COMMAND.findall(block)]


@pytest.fixture
def settings(trained, tmp_path):
    """The trained database, and two empty ones for what is imported and copied."""
    db = connection.connect(trained["MONGO_URI"], trained["MONGO_DB"])
    yield {**trained, "STATE_DIR": tmp_path}
    for name in ("imported", "copied"):
        db.client.drop_database(f"{db.name}_{name}")
    connection.close(db)


def adapted(command, settings, tmp_path):
    """Return a command with places of this test, and the settings to run it with."""
    shutil.rmtree(tmp_path / "parquet", ignore_errors=True)
    places = {
        "backup/": str(tmp_path / "backup"),
        "mongodb://db.example:27017/?replicaSet=rs0": settings["MONGO_URI"],
    }
    words = [places.get(word, word) for word in command]
    if "--parquet" in words:
        words[2] = str(tmp_path / "parquet")
    if "--to" in words:
        words += ["--to-db", f"{settings['MONGO_DB']}_copied"]
    into = {"MONGO_DB": f"{settings['MONGO_DB']}_imported"} if "import" in words else {}
    return words, {**settings, **into}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page, settings, tmp_path):
    found = commands(page)
    assert found
    for command in found:
        words, given = adapted(command, settings, tmp_path)
        if "--parquet" in words:
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        done = run(*words, **given)
        # The doctor may find a fault here: other models have no champion.
        assert done.returncode in ((0, 1) if "doctor" in words else (0,)), (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_every_page_is_linked_from_both_readmes():
    pages = {f"docs/{page}.md" for page in PAGES} | {"docs/deploy/kubernetes.md", "docs/deploy/monitoring.md"}

    for name in ("README.md", "README.es.md"):
        linked = set(re.findall(r"\]\((docs/[^)#]+)", (ROOT / name).read_text()))
        assert pages <= linked
