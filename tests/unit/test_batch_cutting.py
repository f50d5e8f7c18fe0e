"""Files are cut at the ends of rows, wherever quotes and line ends stand."""

import csv
import gzip
import io
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.batch.cutting import parts
from mlops.batch.places import File, files, kind_of
from mlops.batch.workfolder import WorkFolder
from model.spec import loads
from utils.errors import TableError

SPEC = loads(
    "{name: any, task: regression, target: {name: y}, data: {train: x.csv}, features: {x: {type: category}}}"
)
TEXT = st.text(st.sampled_from('a",\n\r é'), max_size=6)


def cut(path, part_bytes):
    """The content of each part, with its numbers."""
    content = path.read_bytes()
    found = list(parts(files(str(path)), SPEC, part_bytes))
    return [(one, content[one.start : one.stop]) for one in found]


@settings(deadline=None, max_examples=200)
@given(rows=st.lists(st.tuples(TEXT, TEXT), max_size=20), size=st.integers(8, 60))
def test_parts_of_csv_have_the_rows_of_the_whole(tmp_path_factory, rows, size):
    path = tmp_path_factory.mktemp("cut") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("x", "y"), *rows])

    found = cut(path, size)

    read = [list(csv.reader(io.StringIO(content.decode(), newline=""))) for _, content in found]
    assert [tuple(row) for part in read for row in part] == rows
    assert [len(part) for part in read] == [part.n_rows for part, _ in found]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n\r\n"])
def test_empty_lines_are_no_rows(tmp_path, end):
    (tmp_path / "a.csv").write_text(f'x,y\n1,2\n\n3,"4\n\n5"\n6,7{end}', newline="")

    assert sum(part.n_rows for part, _ in cut(tmp_path / "a.csv", 6)) == 3


def test_a_quote_inside_of_a_field_is_a_letter(tmp_path):
    (tmp_path / "a.csv").write_text('x,y\n5" disk,1\n3" disk,2\n')

    assert [content for _, content in cut(tmp_path / "a.csv", 12)] == [b'5" disk,1\n', b'3" disk,2\n']


def test_numbers_go_on_over_parts_and_files(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n" + "1\n" * 10)

    found = list(parts(files(str(tmp_path)), SPEC, 8))

    assert [(p.file.name, p.first, p.first_row) for p in found if p.first_row == 1] == [
        ("a.csv", 0, 1),
        ("b.csv", 10, 1),
    ]


def test_a_compressed_file_is_cut_as_the_plain_one(tmp_path):
    text = b"x,y\n" + b'1,"a\nb"\n' * 100
    (tmp_path / "a.csv").write_bytes(text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))

    packed = [part.content for part in parts(files(str(tmp_path / "a.csv.gz")), SPEC, 50)]

    assert packed == [content for _, content in cut(tmp_path / "a.csv", 50)]


@pytest.mark.parametrize(
    "text, words", [("", "is empty"), ("\xff", "not utf-8"), ("x\ry\n", "cannot be read")]
)
def test_a_header_that_cannot_be_used_is_told(tmp_path, text, words):
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))

    with pytest.raises(TableError, match=words):
        cut(tmp_path / "a.csv", 100)


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_columns_are_called_as_in_training(tmp_path, start):
    (tmp_path / "a.csv").write_text(start + ",x,x\n1,2,3\n", encoding="utf-8")

    assert cut(tmp_path / "a.csv", 100)[0][0].header == ("Unnamed: 0", "x", "x.1")


def test_an_open_quote_is_told_and_not_read_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("mlops.batch.cutting.LONGEST_ROW_BYTES", 1_000)
    (tmp_path / "a.csv").write_text('x\n"' + "1\n" * 5_000)

    with pytest.raises(TableError, match="a quote is open"):
        cut(tmp_path / "a.csv", 500)


def test_a_damaged_archive_is_told(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x\n" + b"1\n" * 10_000)[:-20])

    with pytest.raises(TableError, match="cannot be read"):
        list(parts(files(str(tmp_path)), SPEC))


def test_files_are_found_by_path_folder_and_pattern(tmp_path):
    for name in ("b.csv", "a.csv", "c.ndjson", "_d.csv", "e.txt"):
        (tmp_path / name).write_text("x\n1\n")

    assert [file.name for file in files(str(tmp_path))] == ["a.csv", "b.csv", "c.ndjson"]
    assert [file.name for file in files(f"{tmp_path}/*.csv")] == ["_d.csv", "a.csv", "b.csv"]
    assert [file.name for file in files(f"file://{tmp_path}/a.csv")] == ["a.csv"]


class Silent(SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, format, *args):
        """Say nothing."""


def test_a_file_of_a_web_server_is_cut_as_one_on_the_disk(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "1,2\n" * 50)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()

    with closing(server.socket):
        found = list(parts(files(f"http://127.0.0.1:{server.server_port}/a.csv"), SPEC, 60))
        server.shutdown()

    assert [(p.start, p.stop) for p in found] == [(p.start, p.stop) for p, _ in cut(tmp_path / "a.csv", 60)]


@pytest.mark.parametrize("name", ["a.xls", "a", "a.parquet.gz", "nothing.csv", "nosuch://a.csv"])
def test_what_cannot_be_read_is_told(tmp_path, name):
    with pytest.raises(TableError):
        files(name if "://" in name else str(tmp_path / name))


def test_without_pyarrow_parquet_is_refused_and_csv_is_not(monkeypatch):
    monkeypatch.setattr("mlops.batch.places.has_arrow", lambda: False)

    assert kind_of("a.csv.gz") == ("csv", "gzip")
    with pytest.raises(TableError, match="pip install pyarrow"):
        kind_of("a.parquet")


def test_a_changed_file_is_another(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    before: File = files(str(tmp_path))[0]
    (tmp_path / "a.csv").write_text("x\n1\n2\n")

    assert files(str(tmp_path))[0] != before


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/rows.csv",
        "simplecache::http://2852039166/rows.csv",
        "filecache::https://[::ffff:169.254.169.254]/rows.csv",
        "https://user@[fe80::1]/rows.csv",
        "http://[fd00:ec2::254]/rows.csv",
    ],
)
def test_no_url_leads_where_clouds_hand_out_credentials(url):
    with pytest.raises(TableError, match="metadata addresses are refused"):
        files(url)
    with pytest.raises(TableError, match="metadata addresses are refused"):
        WorkFolder(f"{url}.parts").plan()


def test_a_compressed_bomb_is_read_no_further_than_its_first_row_may_go(tmp_path, monkeypatch):
    monkeypatch.setattr("mlops.batch.cutting.LONGEST_ROW_BYTES", 100_000)
    with gzip.open(tmp_path / "a.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"x\n")
        for _ in range(50):
            file.write(b"0" * 1_000_000)
    assert (tmp_path / "a.csv.gz").stat().st_size < 1_000_000

    with pytest.raises(TableError, match="row"):
        list(parts(files(str(tmp_path / "a.csv.gz")), SPEC, 1_000))
