"""Public tables are downloaded from their server, checked and read; a failure says what to do."""

import hashlib
import json
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from data import fetch, public, tables
from data.__main__ import main
from data.columns import Column, Source, Table

CONTENT = b"x,y\n1,0\n2,1\n"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve a folder without writing each request to the test output."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "toy.csv").write_bytes(CONTENT)
    handler = partial(QuietHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def toy(url: str) -> Table:
    source = Source("a server of this test", "none", {"toy.csv": url})
    columns = (Column("x", "number"), Column("y", "steps"))
    return Table(name="toy", target="y", rows=10, groups=("y",), source=source, columns=columns)


def test_a_file_is_stored_with_its_digest_and_row_count(server, tmp_path):
    fetched = fetch.fetch(toy(f"{server}/toy.csv"), tmp_path / "public")

    assert fetched.n_rows == 2
    assert fetched.files[0].path.read_bytes() == CONTENT
    assert fetched.files[0].sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_the_fetched_table_has_our_columns_in_one_file(server, tmp_path):
    table = replace(toy(f"{server}/toy.csv"), columns=(Column("y", "steps"), Column("no", "id")))

    assert fetch.fetch(table, tmp_path).path.read_text() == "y\n0\n1\n"


def test_a_table_served_as_json_is_kept_as_csv(server, tmp_path):
    (tmp_path / "served" / "toy.json").write_text('[{"x": "Jun 12 1998", "y": 0}, {"x": null, "y": 1}]')
    fetched = fetch.fetch(toy(f"{server}/toy.json"), tmp_path / "public")

    assert fetched.files[0].path.read_text() == "x,y\nJun 12 1998,0\n,1\n"


def test_an_answer_that_is_no_json_table_is_told(server, tmp_path):
    (tmp_path / "served" / "toy.json").write_text("<html>moved</html>")

    with pytest.raises(fetch.FetchError, match="no JSON table"):
        fetch.fetch(toy(f"{server}/toy.json"), tmp_path / "public")


def test_an_answer_of_the_server_that_is_no_file_is_told(server, tmp_path):
    with pytest.raises(fetch.FetchError, match="the server answered 404"):
        fetch.fetch(toy(f"{server}/gone.csv"), tmp_path)


def test_no_server_asks_whether_the_user_is_online(tmp_path):
    with pytest.raises(fetch.FetchError, match="are you online"):
        fetch.fetch(toy("http://127.0.0.1:9/toy.csv"), tmp_path, timeout_s=2)


def test_an_address_of_another_scheme_is_refused(tmp_path):
    with pytest.raises(fetch.FetchError, match="not an http address"):
        fetch.fetch(toy("file:///etc/passwd"), tmp_path)


def test_a_file_without_an_expected_column_is_told(server, tmp_path):
    table = replace(toy(f"{server}/toy.csv"), columns=(Column("z", "number"), Column("y", "steps")))

    with pytest.raises(public.PublicDataError, match="lacks the columns z"):
        fetch.fetch(table, tmp_path)


def test_the_command_tells_digest_rows_and_licence(server, tmp_path, monkeypatch):
    monkeypatch.setitem(tables.TABLES, "songs", toy(f"{server}/toy.csv"))
    answer = CliRunner().invoke(main, ["fetch", "songs", "--folder", str(tmp_path), "--json"])

    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["rows"], told["licence"]) == (0, 2, "none")
    assert told["files"][0]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "songs" / "public" / "toy.csv").read_bytes() == CONTENT


def test_the_command_fails_with_one_clear_line_when_offline(tmp_path, monkeypatch):
    monkeypatch.setitem(tables.TABLES, "songs", toy("http://127.0.0.1:9/toy.csv"))
    answer = CliRunner().invoke(main, ["fetch", "songs", "--folder", str(tmp_path)])

    assert answer.exit_code == 1
    assert answer.stderr.startswith("Error: http://127.0.0.1:9/toy.csv cannot be reached")
    assert len(answer.stderr.splitlines()) == 1
