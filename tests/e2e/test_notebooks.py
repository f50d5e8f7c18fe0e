"""The notebooks run from beginning to end against a real service, and are kept without what they gave."""

import uuid
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.running import ROOT, Service, environment, wait_until
from utils.mongo import connection

PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
# Jupyter's own libraries, not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def settings(mongo_uri, tmp_path_factory):
    """A service without a model yet; the notebooks train theirs."""
    found = {"MONGO_URI": mongo_uri, "MONGO_DB": f"notebooks_{uuid.uuid4().hex[:12]}", "TRACKERS": ""}
    found |= {"SIGNING_KEY": "the key of these tests"}
    with Service(tmp_path_factory.mktemp("service"), **found) as service:
        wait_until(lambda: alive(service), 60)
        yield found | {"VIGIA_URL": service.url, "NOTEBOOK_ROWS": 400}
    db = connection.connect(mongo_uri, found["MONGO_DB"])
    db.client.drop_database(db.name)
    connection.close(db)


def alive(service):
    """Tell whether the service listens."""
    import urllib3

    try:
        return service.get("/healthz")[0] == 200
    except urllib3.exceptions.HTTPError:
        return False


@notebooks
def test_the_notebook_runs(path: Path, settings, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    env = environment(**settings, STATE_DIR=tmp_path, IPYTHONDIR=tmp_path, PYTHONWARNINGS="default")
    client = NotebookClient(notebook, timeout=200, kernel_name="python3")

    client.execute(cwd=str(path.parent), env=env)

    shown = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert any("prediction_id" in str(output) for output in shown)


@notebooks
def test_nothing_that_a_notebook_gave_is_kept(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and all(not cell.outputs and cell.execution_count is None for cell in code)
    assert set(notebook.metadata) == {"kernelspec", "language_info"} and len(notebook.cells) <= 30


def test_there_is_one_for_songs_and_one_for_a_regression():
    assert {path.stem for path in PATHS} == {"songs", "cars"}
